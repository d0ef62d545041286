"""The interfaces that the controller needs of the proxies in front of a stack, and of those of a VaultGateway.

The written configuration and the running workers are kept equal: `configure` first, then the runtime calls,
each to every worker of every HAProxy container given. Every call has a timeout, raises ProxyError with a sentence for
people, and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reconciler.core.assess.observation import (
    DEFAULT_WEIGHT,
    Container,
    EngineObservation,
    ProxyObservation,
)
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.front import FrontDoor
from reconciler.core.plan.preview import Preview
from reconciler.core.traffic.tally import Count, Tally

if TYPE_CHECKING:
    # Most commands have nothing to do with gateways, and building the models takes time.
    from reconciler.api.vaultgateway import VaultGateway
    from reconciler.core.plan.gateway_operations import (
        ChangeCertificates,
        ChangeReadiness,
        ChangeRoutes,
        ConfigureGateway,
        DrainPool,
        EmptyPool,
        GatewayTls,
        NameSlots,
        WriteCertificates,
        WriteRoutes,
    )
    from reconciler.core.routes.guards import LoginFiles
    from reconciler.core.routes.table import Table


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server that is to take traffic at "address:port". `trusted`: it is UP before its first check."""

    name: str
    address: str
    trusted: bool
    weight: int = DEFAULT_WEIGHT


class Proxy(Protocol):
    """The load balancers of a stack."""

    @property
    def front(self) -> FrontDoor:
        """How they are defined and replaced, for the plan."""

    def closed(self, stack: Stack) -> str:
        """Why the pool of a stack cannot be reached yet, where its proxies belong to another object; "" if it can."""

    def withdraw(self, name: str, *, force: bool) -> int:
        """Send nothing new to the replicas of a VaultService that is being deleted, where its proxies belong to another
        object, and take its servers out as they have no session. Returns how many sessions are left; `force` cuts them.
        """

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """Observe the workers and servers of each HAProxy that runs, of all `containers` of the stack; one that does not
        answer is an observation and no error.
        """

    def events(self) -> Iterator[str]:
        """The name of a stack for each of its servers that goes UP or DOWN, without end; some may be missed."""

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        """Render, validate and atomically write the configuration with these servers (name, "address:port").

        `weights` (name, weight) are those that are not the default.
        """

    def reload(self, stack: Stack, slot: int) -> None:
        """Start a new worker in this HAProxy; returns when it serves, else raises an error with its log."""

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """Add each server at its address, and at no other, and enable it in the current workers.

        One that takes traffic already keeps its weight.
        """

    def set_weights(self, stack: Stack, slots: Sequence[int], weights: Sequence[tuple[str, int]]) -> None:
        """Give servers (name, weight) another share of new requests, 0 to 256, in the current workers; their sessions are
        kept.
        """

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        """Send nothing new to these servers, in all workers."""

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        """Delete these servers from all current workers; without `force` fail if one of them has a session.

        Success means that all of them are gone. After a failure some may be.
        """


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process has counted for some pools since it was started, `uptime` seconds ago."""

    pid: int
    uptime: float
    tallies: Mapping[str, Tally]


class Counting(Protocol):
    """What proxies have counted. Apart from Proxy, because no pass needs it: only views of traffic do."""

    def counts(self, stacks: Sequence[tuple[Stack, Sequence[int]]]) -> Iterator[Count]:
        """What each process that takes connections has counted for these stacks, each with the slots of its own proxies
        that run; nothing of one that does not answer at once.
        """


@dataclass(frozen=True, slots=True)
class GatewayWish:
    """What a gateway is to serve: its settled routes, among `services`, the names of all that there are.

    `quiet`: nothing else goes on, so that it may prepare for more services. `tls`: its certificates, if they are kept.
    `logins`: what the files of logins have that its routes name.
    """

    gateway: VaultGateway
    table: Table
    services: frozenset[str]
    quiet: bool
    tls: GatewayTls | None = None
    logins: LoginFiles = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ExporterPlace:
    """Where the proxy in a slot serves its own metrics: at an address (IPv4:port), or, on a node with an agent, only to
    that agent.
    """

    slot: int
    address: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class GatewayLook:
    """An observation and a plan of a gateway; `holders` are the services that have, or get, a pool of it. `is_whole`: each
    running proxy told all that was asked, so that it has what was wanted once the plan is carried out. `spare_pools` are
    how many of each kind no service has, `exporters` where each proxy serves its own metrics.
    """

    preview: Preview
    holders: frozenset[str]
    is_whole: bool = True
    spare_pools: Mapping[str, int] = field(default_factory=dict)
    exporters: tuple[ExporterPlace, ...] = ()


class GatewayProxy(Protocol):
    """The load balancers of VaultGateways, which serve the pools of many services."""

    def holders(self, directory: Path) -> frozenset[str]:
        """The services that have a pool of the gateway whose files are in this directory."""

    def stack(
        self, gateway: VaultGateway, directory: Path, networks: Collection[str], bind: str, key: bytes
    ) -> Stack:
        """What should run. `networks` are those of its services, by their names in the engine; `bind` is the address of the
        host that ports are published on, empty for all; `key` is that of revisions.
        """

    def look(self, stack: Stack, wish: GatewayWish, seen: EngineObservation, now: datetime) -> GatewayLook:
        """Observe the files and the running proxies, and plan; changes nothing."""

    def write_routes(self, stack: Stack, request: WriteRoutes) -> None:
        """Write the routes; a proxy that starts reads them."""

    def configure(self, stack: Stack, request: ConfigureGateway) -> None:
        """Render, validate and atomically write the configuration."""

    def write_certificates(self, stack: Stack, request: WriteCertificates) -> None:
        """Write the certificates; a proxy that starts reads them."""

    def change_certificates(self, stack: Stack, request: ChangeCertificates) -> None:
        """Change the certificates of a running proxy."""

    def name_slots(self, stack: Stack, request: NameSlots) -> None:
        """Write which proxies there are."""

    def change_routes(self, stack: Stack, request: ChangeRoutes) -> None:
        """Change the routes of a running proxy."""

    def change_readiness(self, stack: Stack, request: ChangeReadiness) -> None:
        """Have a running proxy say whether it takes requests."""

    def reload(self, stack: Stack, slot: int) -> None:
        """Start a new worker in this proxy; returns when it serves, else raises an error with its log."""

    def drain_pool(self, stack: Stack, request: DrainPool) -> None:
        """Send nothing new to the servers of a pool."""

    def empty_pool(self, stack: Stack, request: EmptyPool) -> None:
        """Delete the servers of a pool and write that it is spare."""
