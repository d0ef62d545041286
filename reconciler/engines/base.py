"""The interface that the controller needs of a container engine.

A read observes everything in one call; writes are the calls of operations. Every call has a timeout, raises
EngineError with a sentence for people, and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.core.assess.capabilities import EngineCapabilities
from reconciler.core.assess.observation import Container, EngineObservation, FrontNode, State
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas

if TYPE_CHECKING:
    from reconciler.core.plan.gateway_operations import DisconnectNetwork
    from reconciler.engines.instances import Instances
    from reconciler.engines.nodes import Nodes

OUTPUT_CHARACTERS: Final = 4096
"""Characters of a command's output that an error repeats."""


def is_published(stack: Stack, containers: Iterable[Container]) -> bool:
    """Whether the ports of a stack are its own already; also if it has none, since another stack holds its front door."""
    gateways = {workload.name: workload for workload in stack.of(Role.GATEWAY)}
    if not gateways:
        # On the network of the host a proxy opens them itself, and a running one has.
        proxies = {workload.name for workload in stack.of(Role.PROXY)}
        return not stack.host_ports or any(
            container.workload in proxies and container.state is State.RUNNING for container in containers
        )
    return any(
        container.workload in gateways and gateways[container.workload].accepts(container.revision)
        for container in containers
    )


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened to a container of the object with this `Ref.label`; an empty one may concern any of them, for
    example because the stream was cut.
    """

    service: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Facts about an engine.

    `parts` are the versions of what it needs beside itself, "" for what is not there. `outlives_restart`: instances keep
    running while the engine itself is down. `networks_left` is how many more networks it has addresses for.
    """

    name: str
    version: str
    operating_system: str
    data_directory: str
    outlives_restart: bool
    networks_left: int
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs once in its own container.

    `mounts` maps paths in the container to host directories, `user` is "uid:gid"; `longest` is in seconds.
    """

    image: str
    words: Sequence[str]
    mounts: Mapping[Path, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "65534:65534"
    longest: float = 30.0


def shortened(output: str) -> str:
    """The beginning and the end of a command's output: the first error is the cause, the last line the result."""
    half = OUTPUT_CHARACTERS // 2
    return (output if len(output) <= 2 * half else f"{output[:half]} […] {output[-half:]}").strip()


class Engine(Protocol):
    """A container engine."""

    @property
    def capabilities(self) -> EngineCapabilities:
        """Its capabilities; constant during its lifetime, and part of its observation."""

    @property
    def nodes(self) -> Nodes:
        """Its machines, for views and for draining one."""

    def observe(self, stack: Stack) -> EngineObservation:
        """All containers of the stack's project in one request, with the other facts that a pass needs."""

    def pull(self, image: str) -> None:
        """Start to pull an image and return; see EngineObservation.pulls. Raises the permanent error of the last try."""

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """Create containers, and the networks and volumes that they name; see EngineCapabilities for whether they start."""

    def recreate(self, stack: Stack, workload: str, image: str = "") -> None:
        """Replace a workload's container by one of its current definition; anonymous volumes move along.

        `image`: the ID of what it is created from, where that is no longer what the definition's tag means.
        """

    def connect(self, stack: Stack, request: ConnectNetwork) -> None:
        """Connect a container to a network, which is created if it is missing; does nothing if it is connected already."""

    def disconnect(self, stack: Stack, request: DisconnectNetwork) -> None:
        """Disconnect a container from a network; does nothing if it is not connected, or gone."""

    def networks(self, names: Collection[str]) -> frozenset[str]:
        """Those of these networks that exist; names as the engine has them."""

    def start(self, containers: tuple[str, ...]) -> None:
        """Start containers in parallel; skips those that run already."""

    def stop(self, containers: tuple[str, ...], grace: float) -> None:
        """Request stops in parallel and return; the engine kills after `grace` seconds, an event reports each end."""

    def remove(self, containers: tuple[str, ...], *, anonymous_volumes: bool = False) -> None:
        """Remove containers in parallel, but no named volume; skips those that no longer exist."""

    def run_once(self, command: Command) -> None:
        """Run a command to its end, without a network. Raises EngineError with the beginning and the end of its output when
        it fails or takes too long; leaves no container.
        """

    def tear_down(self, project: str, *, volumes: bool) -> None:
        """Remove containers and networks of a project, and its volumes if asked. Containers of other projects are only
        disconnected from its networks.
        """

    def sweep(self) -> None:
        """Remove leftovers of a controller that was killed."""

    def logs(self, container: str, lines: int) -> str:
        """The last lines that a container wrote."""

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """The last lines that a container wrote and every new one, until it ends."""

    def ping(self) -> None:
        """Raise when the engine does not answer."""

    def info(self) -> EngineInfo:
        """Facts about the engine."""

    def events(self) -> Iterator[EngineEvent]:
        """Events of the controller's containers, without end: reconnects by itself and reports that with an empty event."""


class FullEngine(Engine, Protocol):
    """An engine with what only commands and views ask of it, and no pass."""

    @property
    def instances(self) -> Instances:
        """Single instances, of all objects."""

    def image_id(self, name: str) -> str:
        """The ID of the image of this machine that a name means, "" if there is none. Raises EngineError, or PermanentError
        where no instance can be created of such an image.
        """

    def directories(self) -> tuple[str, ...]:
        """The engine's own directories on this machine, from which nothing may be mounted. Raises EngineError."""

    def exec_line(self, container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> tuple[str, ...]:
        """The command line that runs a command in a container, with the standard streams of its caller. Raises
        PermanentError for a container that it cannot reach.
        """

    def close(self) -> None:
        """Close all connections; requested stops continue in the engine."""


class Fronts(Protocol):
    """The nodes that gateways run on, with an agent and an engine on each."""

    def nodes(self, stack: Stack, here: EngineObservation) -> tuple[FrontNode, ...]:
        """The nodes that a gateway is to run on, and those that it has to leave, by name. `here` is what runs of it on the
        engine that the controller uses itself.
        """

    def at(self, node: str) -> Engine:
        """The engine of a node. Raises EngineError if it cannot be reached."""

    def deploy(self, node: str) -> None:
        """Have the agent of a node run, with a token that enrols it."""

    def tear_down(self, project: str) -> None:
        """Remove the containers and networks of a project on all nodes that have an agent. Raises EngineError for one that
        cannot be reached.
        """
