"""The machine that a MemoryEngine runs on: containers that boot, answer, stop, crash and are restarted.

It has no threads. Each container stores when its next change is due, and every access first applies the due changes; so the
result is the same when the clock jumps an hour as when it advances in small steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Final

from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Role
from reconciler.core.names import VAULT_NET

RESTART_SECONDS: Final = 0.1
"""Docker's pause before it restarts a container that crashed; twice as long after each crash in a row."""

GIVES_UP_AFTER: Final = 30.0
"""Seconds after which a health check that never succeeded says unhealthy instead of starting."""

BLOCKS_APART: Final = 16
"""Distance between the blocks of 248 addresses that a network uses one after the other."""

PENDING_SECONDS: Final = 1.0
"""Between two tries to place what no node takes."""

KILLED: Final = 137
"""The exit code of a process that ended by SIGKILL."""
TERMINATED: Final = 143
"""The exit code of a job that SIGTERM ended before its work was done; a server that was asked to stop exits with 0."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the process of a container behaves; all in seconds.

    It answers `boot` after its start, never for infinity; it exits `stop` after a stop request, and by itself with
    `exit_code` after `life`. `checked`: its image has a health check. `says` is what it prints when it starts.
    """

    boot: float = 2.0
    checked: bool = True
    stop: float = 0.1
    life: float = inf
    exit_code: int = 1
    says: str = ""


@dataclass(slots=True, eq=False)
class MemoryContainer:
    """One container. Times are of the machine's clock, except `created` and names that end in `_at`, which are wall-clock
    times.

    `told` caches its last observation. `linked`: whether it is in a network, and since when. `mounts` maps mount points to
    volumes. `overdue`: its stop takes longer than its grace period. `joined`, `ipc` and `pid` are the containers whose
    network, IPC and PID namespace it lives in: it starts only while they run, and ends with the one whose PID namespace it
    is. `moves`: when it is started on another node; `is_lost`: the engine cannot reach its own; `is_cut`: HAProxy cannot;
    `is_pending`: no node takes it, so that it runs only in the engine's books. `unseen`: when what is lost, and is not
    started again, ends by itself.
    """

    id: str
    name: str
    service: str
    project: str
    workload: str
    role: Role
    revision: str
    behaviour: Behaviour
    number: int
    created: datetime
    networks: frozenset[str]
    restarts: bool
    image: str = ""
    port: int | None = None
    slot: int | None = None
    joined: str | None = None
    pid: str | None = None
    ipc: str | None = None
    namespace: datetime | None = None
    published: frozenset[int] = frozenset()
    state: State = State.CREATED
    started: float = -inf
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    ends: float = inf
    comes_back: float = inf
    crashes: int = 0
    asked: bool = False
    stopping: bool = False
    sick_since: float | None = None
    well_since: float = -inf
    detached: frozenset[str] = frozenset()
    addresses: dict[str, str] = field(default_factory=dict)
    linked: dict[str, tuple[bool, float]] = field(default_factory=dict)
    told: Container | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    overdue: bool = False
    printed: str = ""
    node: str = ""
    moves: float = inf
    is_lost: bool = False
    is_cut: bool = False
    is_pending: bool = False
    unseen: float = inf

    @property
    def owners(self) -> tuple[str, ...]:
        """The containers that have to run for it to start."""
        return tuple(id for id in (self.joined, self.pid, self.ipc) if id)

    @property
    def is_up(self) -> bool:
        """Whether it has a process, frozen or not."""
        return self.state in (State.RUNNING, State.PAUSED)

    def health(self, now: float) -> Health:
        """The state of its health check; Docker reports none for a paused container."""
        if self.is_lost or self.is_pending:
            return Health.UNHEALTHY if self.is_lost else Health.STARTING
        if not self.behaviour.checked or self.state is not State.RUNNING:
            return Health.NONE
        if self.sick_since is not None:
            return Health.UNHEALTHY
        if now >= self.started + self.behaviour.boot:
            return Health.HEALTHY
        return Health.STARTING if now < self.started + GIVES_UP_AFTER else Health.UNHEALTHY

    def answers(self, now: float) -> tuple[bool, float]:
        """Whether it answers requests, and since when that is so."""
        ready = max(self.started + self.behaviour.boot, self.well_since)
        if self.is_cut or self.is_pending:
            return False, self.started
        if self.sick_since is not None:
            return False, self.sick_since
        return (True, ready) if self.state is State.RUNNING and now >= ready else (False, self.started)


class Machine:
    """All containers, by ID. `clock` gives monotonic seconds, `now` the wall-clock time, which may jump.

    `changes` counts changes of containers.
    """

    def __init__(self, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self.clock = clock
        self.now = now
        self.containers: dict[str, MemoryContainer] = {}
        self.place: Callable[[MemoryContainer], str | None] = lambda container: ""
        """The node that a container starts on; None when none takes it."""
        self.is_apart: Callable[[str], bool] = lambda node: False
        """Whether HAProxy cannot reach a node that a container starts on."""
        self.left: Callable[[MemoryContainer], None] = lambda container: None
        """Told of each container that the engine calls ended, or starts elsewhere, without reaching its process."""
        self._projects: dict[str, dict[str, MemoryContainer]] = {}
        self._by_address: dict[str, MemoryContainer] = {}
        self._freed: dict[str, float] = {}
        self._due = inf
        self._listeners: list[Callable[[str], None]] = []
        self.changes = 0

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the name of a VaultService whenever something happens to a container of it."""
        self._listeners.append(listener)

    def add(self, container: MemoryContainer) -> None:
        """Create it."""
        self.containers[container.id] = container
        self._projects.setdefault(container.project, {})[container.id] = container

    def of(self, project: str) -> list[MemoryContainer]:
        """The containers of a project as they are now."""
        self.settle()
        return list(self._projects.get(project, {}).values())

    def beside(self, container: MemoryContainer) -> list[MemoryContainer]:
        """The containers of its project, as they were when something last happened."""
        return list(self._projects.get(container.project, {}).values())

    def settle(self) -> None:
        """Make every change that is due by now, in the order of time."""
        while self._due <= self.clock():
            moment = self._due
            for container in tuple(self.containers.values()):
                if container.ends <= moment:
                    self._end(container, moment)
                elif container.moves <= moment:
                    self._restart_elsewhere(container)
                elif container.comes_back <= moment:
                    self.start(container, container.comes_back)
            self._due = min(
                (min(c.ends, c.comes_back, c.moves) for c in self.containers.values()), default=inf
            )

    @property
    def next_change(self) -> float:
        """When the next container starts, ends or becomes ready, by the clock; infinity when no change is due."""
        now = self.clock()
        ready = (c.started + c.behaviour.boot for c in self.containers.values() if c.is_up)
        return min((self._due, *(moment for moment in ready if moment > now)))

    def start(self, container: MemoryContainer, at: float | None = None) -> None:
        """Start its process with addresses: the lowest free ones, which another container may just have released."""
        moment = self.clock() if at is None else at
        container.comes_back = inf
        if not all(self._is_up(owner) for owner in container.owners):
            container.state, container.exit_code = State.EXITED, 128
            self._tell(container)
            return
        container.state = State.RUNNING
        container.started, container.started_at = moment, self.now()
        container.ends = moment + container.behaviour.life
        container.exit_code, container.ended_at, container.sick_since = None, None, None
        container.asked = container.stopping = container.overdue = False
        container.printed += container.behaviour.says
        container.well_since, container.is_lost = -inf, False
        node = self.place(container)
        container.is_pending, container.node = node is None, node or ""
        container.is_cut = self.is_apart(container.node)
        container.moves = moment + PENDING_SECONDS if node is None else inf
        self._due = min(self._due, container.moves)
        for network in sorted(container.networks - container.detached):
            self._attach(container, network)
        self._due = min(self._due, container.ends)
        self._tell(container)

    def lose(self, container: MemoryContainer, moves_in: float) -> None:
        """Its node cannot be reached; after so many seconds it is started on another one."""
        if not container.restarts:
            moves_in = inf
            if not container.is_lost:
                # How it ends is told when its node is there again.
                container.unseen, container.ends = container.ends, inf
        container.is_lost = container.is_cut = True
        self.move(container, moves_in)

    def find(self, container: MemoryContainer, *, is_given_up: bool = False) -> None:
        """Its node can be reached again. One that was given up meanwhile, and is not started elsewhere, is ended."""
        was_lost, container.is_lost, container.is_cut = container.is_lost, False, False
        container.moves, container.well_since = inf, self.clock()
        if was_lost and (not container.restarts or container.unseen < inf):
            container.ends, container.unseen = max(container.unseen, self.clock()), inf
            self._due = min(self._due, container.ends)
            if is_given_up and container.ends > self.clock():
                self.kill(container, by_hand=True)
                return
        self._tell(container)

    def move(self, container: MemoryContainer, moves_in: float) -> None:
        """Have it started on another node after so many seconds, at another address."""
        container.moves = self.clock() + moves_in
        self._due = min(self._due, container.moves)
        self._tell(container)

    def _restart_elsewhere(self, container: MemoryContainer) -> None:
        if container.stopping:
            # Where it is, it ends by itself; elsewhere it is not wanted.
            container.moves = inf
            return
        moment = container.moves
        self._leave(container)
        self._release(container, moment)
        self.start(container, moment)

    def _leave(self, container: MemoryContainer) -> None:
        if container.is_lost:
            self.left(container)

    def stop(self, container: MemoryContainer, grace: float) -> None:
        """Request a stop, which unpauses it; a container that ignores the request is killed after `grace`."""
        container.asked, container.comes_back = True, inf
        if container.state is State.PAUSED:
            self.pause(container)
        if container.state is State.RESTARTING:
            container.state = State.EXITED
            self._tell(container)
        elif container.is_up:
            # What cannot be reached has ended as far as the engine can tell, but for a job, which may have no second run.
            is_awaited = container.is_lost and container.role is Role.JOB
            is_over = container.is_pending or (container.is_lost and not is_awaited)
            takes = 0.0 if is_over else container.behaviour.stop
            container.stopping, container.overdue = True, takes > grace
            self.changes += 1
            end = self.clock() + min(takes, grace)
            if is_awaited:
                container.unseen, container.moves = min(container.unseen, end), inf
            else:
                container.ends = min(container.ends, end)
                self._due = min(self._due, container.ends)

    def lose_grip(self) -> None:
        """The client that waits for stopping containers died: those that ignore the request will not be killed."""
        for container in self.containers.values():
            if container.stopping and container.is_up and container.behaviour.stop == inf:
                container.ends = inf
            container.stopping = container.overdue = False

    def kill(self, container: MemoryContainer, *, by_hand: bool) -> None:
        """End it at once. A container that was killed manually stays down, a crashed one restarts by its restart policy."""
        if container.is_up:
            container.asked = container.asked or by_hand
            # Its process has ended, whether that can be reached or not.
            container.is_lost = False
            self._end(container, self.clock(), KILLED)
        elif by_hand and container.state is State.RESTARTING:
            container.state, container.comes_back = State.EXITED, inf
            self._tell(container)

    def remove(self, container: MemoryContainer) -> None:
        """Remove it and its process."""
        was_up = container.is_up
        if was_up:
            self._leave(container)
            self._release(container, self.clock())
        self.containers.pop(container.id, None)
        self._projects.get(container.project, {}).pop(container.id, None)
        self._tell(container)
        if was_up:
            self._end_sharers(container, self.clock())

    def pause(self, container: MemoryContainer) -> None:
        """Pause or unpause its process."""
        if container.state is State.PAUSED:
            container.state, container.well_since = State.RUNNING, self.clock()
        elif container.state is State.RUNNING:
            container.state = State.PAUSED
        self._tell(container)

    def fall_ill(self, container: MemoryContainer) -> None:
        """Let it hang: it runs but no longer answers."""
        container.sick_since = self.clock()
        self._tell(container)

    def recover(self, container: MemoryContainer) -> None:
        """It answers again."""
        if container.sick_since is not None:
            container.sick_since, container.well_since = None, self.clock()
            self._tell(container)

    def detach(self, container: MemoryContainer, network: str) -> None:
        """Disconnect it from a network."""
        container.detached |= {network}
        if address := container.addresses.pop(network, None):
            self._free(address, self.clock())
            container.linked[network] = (False, self.clock())
        self._tell(container)

    def attach(self, container: MemoryContainer, network: str) -> None:
        """Connect it to a network, at an address that is free now."""
        container.detached -= {network}
        container.networks |= {network}
        if container.is_up:
            self._attach(container, network)
            container.well_since = self.clock()
        self._tell(container)

    def answers(self, address: str, client: str = "") -> tuple[bool, float]:
        """Whether a container answers at "address:port", and since when that is so. A `client` with an own namespace has to
        be in the network of the address.
        """
        host, _, port = address.partition(":")
        container = self._by_address.get(host)
        if container is None or str(container.port) != port:
            return False, self._freed.get(host, -inf)
        answers, since = container.answers(self.clock())
        if (holder := self._holder(client)) is None:
            return answers, since
        network = next(name for name, mine in container.addresses.items() if mine == host)
        linked, when = holder.linked.get(f"{container.project}_{network}", (False, -inf))
        return (answers, max(since, when)) if linked else (False, when)

    def _holder(self, client: str) -> MemoryContainer | None:
        """The container whose network namespace a container is in; None for that of the host."""
        asking = self.containers.get(client)
        return self.containers.get(asking.joined or "") if asking else None

    def owner(self, published: int) -> MemoryContainer | None:
        """The running container that publishes this port of the host."""
        return next((c for c in self.containers.values() if c.is_up and published in c.published), None)

    def proxies(self, project: str) -> list[tuple[str, int, float, bool]]:
        """The running containers that have a slot: ID, slot, when they started, whether they were asked to stop."""
        return [
            (c.id, c.slot, c.started, c.asked)
            for c in self.of(project)
            if c.slot is not None and c.state is State.RUNNING
        ]

    def frozen(self, project: str) -> frozenset[int]:
        """The slots of paused containers that have one."""
        return frozenset(c.slot for c in self.of(project) if c.slot is not None and c.state is State.PAUSED)

    def end(self, container: str) -> None:
        """Its process exited after a stop request."""
        if (found := self.containers.get(container)) and found.is_up:
            self._end(found, self.clock(), 0)

    @property
    def addresses(self) -> Mapping[str, MemoryContainer]:
        """The container of each address."""
        return self._by_address

    def _end(self, container: MemoryContainer, moment: float, code: int | None = None) -> None:
        self._leave(container)
        self._release(container, moment)
        container.ends, container.ended_at, container.moves = inf, self.now(), inf
        container.is_lost = container.is_cut = container.is_pending = False
        if code is None:
            code = container.behaviour.exit_code
            if container.asked:
                code = KILLED if container.overdue else TERMINATED if container.behaviour.life < inf else 0
        container.exit_code = code
        if container.asked or not container.restarts:
            container.state = State.EXITED
        else:
            container.state = State.RESTARTING
            pause = RESTART_SECONDS * 2.0 ** min(container.crashes, 10)
            container.crashes += 1
            container.comes_back = moment + pause
            self._due = min(self._due, container.comes_back)
        self._tell(container)
        self._end_sharers(container, moment)

    def _end_sharers(self, owner: MemoryContainer, moment: float) -> None:
        """The kernel kills all processes of a PID namespace when its first one has ended."""
        for other in tuple(self.containers.values()):
            if other.pid == owner.id and other.is_up:
                self._end(other, moment, KILLED)

    def _is_up(self, id: str) -> bool:
        found = self.containers.get(id)
        return found is not None and found.is_up

    def _attach(self, container: MemoryContainer, network: str) -> None:
        prefix = f"10.{sum(container.project.encode()) % 200}"
        blocks = range(0 if network == VAULT_NET else 1 + len(network), 256, BLOCKS_APART)
        addresses = (f"{prefix}.{block}.{host}" for block in blocks for host in range(2, 250))
        address = next(address for address in addresses if address not in self._by_address)
        container.addresses[network] = address
        container.linked[network] = (True, self.clock())
        self._by_address[address] = container

    def _release(self, container: MemoryContainer, moment: float) -> None:
        for address in container.addresses.values():
            self._free(address, moment)
        container.addresses.clear()

    def _free(self, address: str, moment: float) -> None:
        del self._by_address[address]
        self._freed[address] = moment

    def _tell(self, container: MemoryContainer) -> None:
        self.changes += 1
        for listener in self._listeners:
            listener(container.service)
