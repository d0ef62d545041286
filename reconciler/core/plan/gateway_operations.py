"""The operations that only a VaultGateway has: its routes, its pools, and the networks of its services.

`maps` are what its proxies look up for each request, by name; a pool has a name that the proxy gave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.core.plan.operations import ContainerOperation, Operation

if TYPE_CHECKING:
    from reconciler.api.vaultgateway import GatewaySpec

__all__ = [
    "ChangeCertificates",
    "ChangeReadiness",
    "ChangeRoutes",
    "ConfigureGateway",
    "DeployAgent",
    "DisconnectNetwork",
    "DrainPool",
    "EmptyPool",
    "NameSlots",
    "OnNode",
    "WriteCertificates",
    "WriteRoutes",
]

Maps = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class GatewayTls:
    """The certificates of a gateway, PEM with their keys, which no representation shows: the default one, and those of
    hosts. `challenges` are those for ACME servers, `answers` what they look for by path; `secured` are the hosts whose
    certificate clients accept.
    """

    default: str = field(repr=False)
    hosts: Mapping[str, str] = field(default_factory=dict, repr=False)
    challenges: Mapping[str, str] = field(default_factory=dict, repr=False)
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secured: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoutes(Operation):
    """Write the routes of a gateway, and who has which pool: name, service, and port of its replicas.

    `routes` are counted for people; `reassigned` are the services that get or lose a pool by it.
    """

    maps: Maps = field(hash=False, repr=False)
    held: tuple[tuple[str, str, int], ...]
    routes: int
    reassigned: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        told = f", with other pools for {', '.join(self.reassigned)}" if self.reassigned else ""
        return f"write {self.routes} routes{told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureGateway(Operation):
    """Write a gateway's configuration with these pools, after the proxy's own binary accepted it."""

    validates = True

    spec: GatewaySpec = field(hash=False, repr=False)
    pools: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"write gateway.cfg with {len(self.pools)} pools"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSlots(Operation):
    """Say which proxies there are, or are about to be: services ask exactly these about their servers. `nodes`: where those
    are that an agent serves.
    """

    slots: tuple[int, ...]
    nodes: Mapping[int, str] = field(default_factory=dict, hash=False)

    @property
    def sentence(self) -> str:
        named = (f"{slot} on {self.nodes[slot]}" if slot in self.nodes else str(slot) for slot in self.slots)
        return f"name slots {', '.join(named)}" if self.slots else "name no slot"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRoutes(ContainerOperation):
    """Change the routes of a running proxy, so that no request meets half of a change. `changed`: the maps that differ."""

    slot: int
    maps: Maps = field(hash=False, repr=False)
    changed: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"change routes of {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOperation(Operation):
    """Base of the operations on a pool that no route leads to any more; each is told to the proxies in all `slots`."""

    pool: str
    slots: tuple[int, ...]
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPool(PoolOperation):
    """Let the servers of a pool finish their sessions."""

    @property
    def sentence(self) -> str:
        return f"drain pool {self.pool} of {len(self.servers)} servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyPool(PoolOperation):
    """Delete the servers of a pool; one that has none becomes spare. `cut` sessions were still open."""

    cut: int = 0

    @property
    def sentence(self) -> str:
        doing = f"empty pool {self.pool}" if self.servers else f"make pool {self.pool} spare"
        return doing + (f", cutting {self.cut} sessions" if self.cut else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectNetwork(ContainerOperation):
    """Disconnect a gateway from the network of a service that it no longer serves."""

    network: str

    @property
    def sentence(self) -> str:
        return f"disconnect {self.name} from {self.network}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCertificates(Operation):
    """Write the certificates of a gateway; a proxy that starts reads them."""

    tls: GatewayTls = field(hash=False)

    @property
    def sentence(self) -> str:
        hosts = len(self.tls.hosts)
        return f"write the certificates of {hosts} {'host' if hosts == 1 else 'hosts'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCertificates(ContainerOperation):
    """Change the certificates of a running proxy: the next handshake has them."""

    slot: int
    tls: GatewayTls = field(hash=False)

    @property
    def sentence(self) -> str:
        return f"change certificates of {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReadiness(ContainerOperation):
    """Have a running proxy say whether it takes requests, to what leads clients to it; it serves in either case."""

    slot: int
    ready: bool

    @property
    def sentence(self) -> str:
        return f"have {self.name} say that it is {'ready' if self.ready else 'about to leave'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployAgent(Operation):
    """Have the agent of a node run, and enrol it."""

    node: str

    @property
    def sentence(self) -> str:
        return f"deploy the agent of node {self.node}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnNode(Operation):
    """Do one thing with the containers of one node."""

    node: str
    operation: Operation

    @classmethod
    def of(cls, node: str, operation: Operation) -> OnNode:
        """The operation on this node, with its own cause."""
        return cls(node=node, operation=operation, cause=operation.cause, detail=operation.detail)

    @property
    def kind(self) -> str:
        return self.operation.kind

    @property
    def sentence(self) -> str:
        return f"{self.operation.sentence} on {self.node}"
