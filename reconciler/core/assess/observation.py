"""An observation: the state that the engine and the proxies reported at one moment.

These values hold facts only; health.py and pool.py assess them. Times are aware UTC datetimes, durations are seconds.
Classes that exist once per container have no slots, since creating a frozen class with slots takes twice as long; those
that each pass creates for each server are tuples, which takes a third.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

from reconciler.core.assess.capabilities import USUAL, EngineCapabilities
from reconciler.core.desired.stack import Role


class State(StrEnum):
    """A container's state, in Docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ENDED: Final = (State.EXITED, State.CREATED, State.DEAD)
"""Nothing runs in the container, and the engine does not start it again by itself."""


class Health(StrEnum):
    """The verdict of a container's own health check; NONE when it has none."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class Container:
    """One container of a stack.

    `number` is Compose's, which only grows among the containers there are. `addresses` maps the stack's network
    names to IPv4 addresses; `port` is where a web replica listens. `slot`, `joined` and `namespace` are set for a proxy:
    the name of its sockets, the ID of the container whose network namespace it lives in, and when that one had been
    started as this one was created. `shared` are the IDs of the containers whose PID or IPC namespace it lives in, None
    when that was not asked. `started` is exact for gateway and proxies, coarse for others, and so is `ended`. `stopping` is
    true from the moment this controller asked for a stop, also when it has ended. `image` is the ID of what it was
    created from, `published` the ports of the host that a gateway opens while it runs. `node` is the name of the machine
    that it is on, empty where there is only one; `pinned`: its data is there, so it can run on no other.
    """

    id: str
    name: str
    workload: str
    role: Role
    revision: str
    state: State
    health: Health
    created: datetime
    number: int = 0
    addresses: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    exit_code: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    slot: int | None = None
    joined: str | None = None
    namespace: datetime | None = None
    shared: tuple[str, ...] | None = None
    stopping: bool = False
    image: str = ""
    published: frozenset[int] = frozenset()
    node: str = ""
    pinned: bool = False

    def age(self, now: datetime) -> float:
        """Seconds since it last started, or since it was created when that is not known."""
        return (now - max(self.created, self.started or self.created)).total_seconds()

    @property
    def is_ready(self) -> bool:
        """Whether it runs, and its own health check, if it has one, agrees."""
        return self.state is State.RUNNING and self.health in (Health.NONE, Health.HEALTHY)

    @property
    def age_key(self) -> tuple[datetime, int, str]:
        """Sorts containers oldest first, also those that were created within the same second."""
        return (self.created, self.number, self.id)

    @cached_property
    def short(self) -> str:
        """The first 12 characters of the ID, as `docker ps` prints it; also the name of its server in the pool."""
        return self.id[:12]


class Admin(StrEnum):
    """The administrative state that the controller requested; health is separate."""

    READY = "ready"
    DRAIN = "drain"


DEFAULT_WEIGHT: Final = 1
MAX_WEIGHT: Final = 256


class Server(NamedTuple):
    """One server of the pool as one worker of a proxy sees it; `since` is how many seconds its status has lasted.

    `check`: what the last check came to, in the proxy's words, such as "L7STS 401". `weight`: its share of new requests
    beside that of the others, 0 for none; `up` says what its checks say, also then. `up_beside`: it is not UP here, and
    gets requests by another pool that is still in use.
    """

    name: str
    address: str
    admin: Admin
    up: bool
    sessions: int
    since: float
    check: str = ""
    weight: int = DEFAULT_WEIGHT
    up_beside: bool = False


@dataclass(frozen=True, slots=True)
class ProxyWorker:
    """One process of a proxy; after a reload the old ones live on until their last session ends."""

    pid: int
    current: bool
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class ProxyInstance:
    """One proxy container that was asked; `structure` is what its current worker was started with.

    `silent`: for how many seconds it has not answered; 0 for one that did. `serves`: it takes connections although it does
    not answer. `slot`: its name in operations, for a container that is not one of the stack.
    """

    container: str
    answering: bool
    structure: str | None = None
    workers: tuple[ProxyWorker, ...] = ()
    silent: float = 0.0
    slot: int | None = None
    serves: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """The requests of a pool, as all of its proxies know them together.

    `idle`: for how many seconds none has come or ended. `is_known`: the last one was seen; otherwise the proxies have been
    watching for so long and seen none. `open`: those that are under way, or wait for a server.
    """

    idle: float
    is_known: bool
    open: int


@dataclass(frozen=True, slots=True)
class ProxyObservation:
    """The proxy side of a stack.

    `expected` is the digest of the configuration without its servers, as it would be rendered now; `written` and
    `configured` (server name to address) are what the file on disk says, and so are `weights` where they are not the
    default. `name` and `file` are what differences call the proxy and that file. `awaited`: what another object still has
    to do before requests reach the pool. `activity` is filled for a stack that may sleep; None when a proxy did not tell.
    """

    expected: str
    written: str | None
    configured: Mapping[str, str]
    instances: tuple[ProxyInstance, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    name: str = "haproxy"
    file: str = "haproxy.cfg"
    awaited: str = ""
    activity: Activity | None = None

    @property
    def behind(self) -> tuple[ProxyInstance, ...]:
        """The proxies that answer, and serve another configuration than the expected one."""
        return tuple(i for i in self.instances if i.answering and i.structure != self.expected)


@dataclass(frozen=True, slots=True)
class Pull:
    """An image that is being fetched, or that could not be.

    `error` is what the last try ended with. `lasting`: the next one would end in the same way; otherwise it is worth
    another one in `again` seconds.
    """

    running: bool
    error: str = ""
    lasting: bool = False
    again: float = 0.0


@dataclass(frozen=True, slots=True)
class FrontNode:
    """A node that a gateway runs on, or has to leave: then `is_wanted` is false.

    `seen` is its part of the observation; None while it cannot be looked at, and `problem` says why. `lacks_agent`: an
    agent has to be deployed to it first, and until it has started, `is_new`. `is_down`: the engine takes the machine for
    lost, so nothing serves on it.
    """

    name: str
    is_wanted: bool = True
    lacks_agent: bool = False
    is_new: bool = False
    is_down: bool = False
    problem: str = ""
    seen: EngineObservation | None = None


@dataclass(frozen=True)
class EngineObservation:
    """The engine side of a stack.

    `missing_images` and `taken_ports` (host port to who has it) are filled only as far as a pass can need them; `images`
    are the IDs that the others mean now, `volumes` the paths that they declare as volumes, `digests` those by which
    registries know them, `pulls` those of the missing images that were asked for. `drained` are the names of the nodes that
    instances are to leave. `capabilities` are the engine's. `nodes` are those of a gateway that runs on several, whose
    containers are among these.
    """

    containers: tuple[Container, ...]
    missing_images: frozenset[str] = frozenset()
    taken_ports: Mapping[int, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    digests: Mapping[str, frozenset[str]] = field(default_factory=dict)
    pulls: Mapping[str, Pull] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    capabilities: EngineCapabilities = USUAL
    nodes: tuple[FrontNode, ...] = ()

    # Here and not in Observation: an engine that has seen no change returns the same object again.

    @cached_property
    def oldest_first(self) -> tuple[Container, ...]:
        """All containers, oldest first; the engine may list them in any order."""
        return tuple(sorted(self.containers, key=lambda c: c.age_key))

    @cached_property
    def by_workload(self) -> Mapping[str, tuple[Container, ...]]:
        """The containers of each workload, oldest first."""
        found: dict[str, list[Container]] = {}
        for container in self.oldest_first:
            found.setdefault(container.workload, []).append(container)
        return {workload: tuple(containers) for workload, containers in found.items()}


@dataclass(frozen=True, slots=True)
class Observation:
    """The observed state of one stack at one moment."""

    engine: EngineObservation
    proxy: ProxyObservation

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers, oldest first."""
        return self.engine.oldest_first

    def of(self, workload: str) -> tuple[Container, ...]:
        """The containers of one workload, oldest first."""
        return self.engine.by_workload.get(workload, ())
