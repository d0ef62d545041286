"""The proxies of a stack in memory: a fake of HAProxy.

It models what decides whether a request is lost: several HAProxy containers, each with a current worker and old ones that
only finish their connections; a file that is read at start; servers with checks, drains and sessions. A Network, such as
the machine in memory, tells which containers run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from types import MappingProxyType
from typing import Final, Protocol, TypeGuard

from reconciler.core.assess.observation import (
    DEFAULT_WEIGHT,
    Admin,
    Container,
    ProxyInstance,
    ProxyObservation,
    ProxyWorker,
    Server,
    State,
)
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.front import FrontDoor
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.config import structure
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.silence import Silence

BOOT: Final = 0.1
"""Seconds from a container's start until its HAProxy answers."""
SEES_UP_AFTER: Final = 0.25
SEES_DOWN_AFTER: Final = 3.0
"""Seconds until checks notice that a server answers, or no longer does."""


class Network(Protocol):
    """The network of HAProxy; `changes` counts its changes."""

    changes: int

    def settle(self) -> None:
        """Apply all changes that are due by now."""

    def proxies(self, project: str) -> Iterable[tuple[str, int, float, bool]]:
        """The running HAProxy containers: ID, slot, when they started, whether they were asked to stop."""

    def answers(self, address: str) -> tuple[bool, float]:
        """Whether a container answers at "address:port", and since when that is so."""

    def end(self, container: str) -> None:
        """The process of this container exited by itself."""


@dataclass(slots=True)
class MemoryServer:
    """One server in one worker; `sessions` holds when each of its sessions ends, `changed` when its status did."""

    address: str
    changed: float
    admin: Admin = Admin.READY
    up: bool = True
    weight: int = DEFAULT_WEIGHT
    sessions: list[float] = field(default_factory=list)

    def settle(self, network: Network, now: float) -> None:
        """Apply the results of checks up to now."""
        if self.sessions:
            self.sessions = [end for end in self.sessions if end > now]
        if self.admin is Admin.READY:
            answers, since = network.answers(self.address)
            noticed = max(since + (SEES_UP_AFTER if answers else SEES_DOWN_AFTER), self.changed)
            if answers != self.up and now >= noticed:
                self.up, self.changed = answers, noticed

    def drain(self, now: float) -> None:
        """Take no new session."""
        if self.admin is Admin.READY:
            self.admin, self.up, self.changed = Admin.DRAIN, False, now


@dataclass(slots=True)
class MemoryWorker:
    """One process; `superseded` when it must take no new connections."""

    pid: int
    structure: str
    born: float
    servers: dict[str, MemoryServer]
    superseded: float | None = None

    @property
    def current(self) -> bool:
        """Whether it takes new connections."""
        return self.superseded is None


@dataclass(slots=True)
class MemoryProcess:
    """One HAProxy container that runs; the current worker comes first."""

    container: str
    slot: int
    started: float
    workers: list[MemoryWorker]

    @property
    def sessions(self) -> int:
        """Sessions of all its workers."""
        return sum(len(server.sessions) for worker in self.workers for server in worker.servers.values())


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """The haproxy.cfg of a stack."""

    structure: str
    servers: Mapping[str, str]
    image: str
    weights: Mapping[str, int] = field(default_factory=dict)


class MemoryProxy:
    """Implements reconciler.proxy.base.Proxy. `mute` names the containers whose sockets do not answer."""

    front: Final[FrontDoor] = FRONT

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        self._network = network
        self._clock = clock
        self._processes: dict[str, dict[str, MemoryProcess]] = {}
        self._pids = 0
        self._looked: tuple[str, float, int] | None = None
        self.files: dict[str, MemoryFile] = {}
        self.mute: set[str] = set()
        self._silence = Silence(clock)

    # The Protocol

    def events(self) -> Iterator[str]:
        """See Proxy.events; all of them are missed."""
        return iter(())

    def closed(self, stack: Stack) -> str:
        """See Proxy.closed; its proxies are its own."""
        return ""

    def withdraw(self, name: str, *, force: bool) -> int:
        """See Proxy.withdraw; its proxies leave with it."""
        return 0

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """See Proxy.observe."""
        processes = self.processes(stack)
        file = self.files.get(stack.project)
        running = [c.id for c in containers if c.state is State.RUNNING and c.slot is not None]
        answering = {id: process for id in running if self._answers(process := processes.get(id))}
        silent = self._silence.of(stack.project, [id for id in running if id not in answering])
        return ProxyObservation(
            expected=structure(stack.proxy),
            written=file.structure if file and file.image == haproxy_of(stack).image else None,
            configured=dict(file.servers) if file else {},
            weights=dict(file.weights) if file else {},
            instances=tuple(
                ProxyInstance(id, answering=False, silent=silent[id])
                if id in silent
                else self._instance(answering[id])
                for id in running
            ),
        )

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        """See Proxy.configure."""
        self.processes(stack)
        self.files[stack.project] = MemoryFile(
            structure(stack.proxy), dict(servers), haproxy_of(stack).image, dict(weights)
        )

    def reload(self, stack: Stack, slot: int) -> None:
        """See Proxy.reload."""
        found = self._listening(stack, [slot])
        if not found:
            raise ProxyError(f"the socket of slot {slot} accepts no connection")
        if stack.project not in self.files:
            raise ProxyError("there is no haproxy.cfg to reload; it has to be configured first")
        for process in found:
            former = process.workers[0].servers
            self._supersede(process)
            process.workers.insert(0, self._worker(stack.project, former))

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """See Proxy.add_servers."""
        now = self._clock()
        for worker in self._current(stack, slots):
            for server in servers:
                known = worker.servers.get(server.name)
                if known is None or known.address != server.address:
                    known = MemoryServer(server.address, now, admin=Admin.DRAIN, up=False)
                    worker.servers[server.name] = known
                if known.admin is not Admin.READY:
                    known.admin, known.up, known.changed = Admin.READY, server.trusted, now
                    known.weight = server.weight

    def set_weights(self, stack: Stack, slots: Sequence[int], weights: Sequence[tuple[str, int]]) -> None:
        """See Proxy.set_weights."""
        for worker in self._current(stack, slots):
            for server, weight in weights:
                if known := worker.servers.get(server):
                    known.weight = weight

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        """See Proxy.drain_servers."""
        for worker in self._current(stack, slots):
            for server in servers:
                if known := worker.servers.get(server):
                    known.drain(self._clock())

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        """See Proxy.delete_servers; like HAProxy it deletes those that it can."""
        listening = self._listening(stack, slots)
        if force:
            for process in listening:
                for worker in process.workers:
                    if not worker.current:
                        for server in servers:
                            worker.servers.pop(server, None)
        for worker in self._current(stack, slots):
            busy = [server for server in servers if not self._delete(worker, server, force=force)]
            if busy:
                sessions = len(worker.servers[busy[0]].sessions)
                raise ProxyError(f"server {busy[0]} cannot be deleted, it still has {sessions} sessions")

    def _delete(self, worker: MemoryWorker, server: str, *, force: bool) -> bool:
        """Whether the server is gone from a worker now."""
        known = worker.servers.get(server)
        if known is not None:
            known.drain(self._clock())
            if known.sessions and not force:
                return False
            del worker.servers[server]
        return True

    # Simulation

    def processes(self, stack: Stack) -> Mapping[str, MemoryProcess]:
        """The running HAProxies by container: new ones have read the file, idle leaving ones have exited."""
        now = self._clock()
        known = self._processes.setdefault(stack.project, {})
        self._network.settle()
        look = (stack.project, now, self._network.changes)
        if self._looked == look:
            return known
        running = tuple(self._network.proxies(stack.project))
        for id in known.keys() - {id for id, *_ in running}:
            del known[id]
        for id, slot, started, leaving in running:
            process = known.get(id)
            if process is None or process.started != started:
                process = MemoryProcess(id, slot, started, [self._worker(stack.project)])
                known[id] = process
            for worker in process.workers:
                for server in worker.servers.values():
                    server.settle(self._network, now)
            if len(process.workers) > 1:
                process.workers[1:] = [
                    w for w in process.workers[1:] if any(s.sessions for s in w.servers.values())
                ]
            if leaving:
                self._supersede(process)
                if not process.sessions:
                    self._network.end(id)
                    del known[id]
        self._looked = look
        return known

    def request(
        self, stack: Stack, container: str, seconds: float, choose: Callable[[Sequence[str]], str]
    ) -> str:
        """Send a request to the HAProxy in `container` that lasts `seconds`.

        `choose` picks one of the servers, each of which is listed as often as its weight. Returns the name of the one
        that got it, or "" when it is held because the pool is empty.
        """
        worker = self.processes(stack)[container].workers[0]
        up = [name for name, server in worker.servers.items() if server.up for _ in range(server.weight)]
        if not up or not worker.current:
            return ""
        name = choose(up)
        worker.servers[name].sessions.append(self._clock() + seconds)
        return name

    def is_ready(self, process: MemoryProcess) -> bool:
        """Whether it listens, on its socket and on the port."""
        return self._clock() >= process.started + BOOT

    def _answers(self, process: MemoryProcess | None) -> TypeGuard[MemoryProcess]:
        return process is not None and process.container not in self.mute and self.is_ready(process)

    def _instance(self, process: MemoryProcess) -> ProxyInstance:
        now = self._clock()
        successor = min((now - w.born for w in process.workers if w.current), default=now)
        return ProxyInstance(
            container=process.container,
            answering=True,
            structure=process.workers[0].structure,
            workers=tuple(_seen(worker, now, successor) for worker in process.workers),
        )

    def _worker(
        self, project: str, former: Mapping[str, MemoryServer] = MappingProxyType({})
    ) -> MemoryWorker:
        """A worker that has read the file, and loaded the states of its predecessor's servers."""
        file = self.files.get(project)
        self._pids += 1
        now = self._clock()
        if file is None:
            return MemoryWorker(self._pids, "", now, {})
        servers = {
            name: MemoryServer(address, now, weight=file.weights.get(name, DEFAULT_WEIGHT))
            for name, address in file.servers.items()
        }
        for name, server in servers.items():
            if (known := former.get(name)) and known.address == server.address:
                server.admin, server.up, server.changed = known.admin, known.up, known.changed
        return MemoryWorker(self._pids, file.structure, now, servers)

    def _supersede(self, process: MemoryProcess) -> None:
        for worker in process.workers:
            if worker.current:
                worker.superseded = self._clock()

    def _listening(self, stack: Stack, slots: Sequence[int]) -> list[MemoryProcess]:
        found = [p for p in self.processes(stack).values() if p.slot in slots and self.is_ready(p)]
        for process in found:
            if process.container in self.mute:
                raise ProxyError(f"HAProxy in slot {process.slot} did not answer in time")
        return found

    def _current(self, stack: Stack, slots: Sequence[int]) -> Iterable[MemoryWorker]:
        return (w for process in self._listening(stack, slots) for w in process.workers if w.current)


def _seen(worker: MemoryWorker, now: float, successor: float) -> ProxyWorker:
    """As HAProxy reports it, in whole seconds; an old worker shows only servers with sessions."""
    servers = (
        Server(
            name=name,
            address=server.address,
            admin=server.admin if worker.current else Admin.DRAIN,
            up=server.up and worker.current,
            sessions=len(server.sessions),
            since=float(floor(_since(server, now, successor, current=worker.current))),
            weight=server.weight,
        )
        for name, server in worker.servers.items()
        if worker.current or server.sessions
    )
    return ProxyWorker(worker.pid, worker.current, tuple(servers))


def _since(server: MemoryServer, now: float, successor: float, *, current: bool) -> float:
    since = now - server.changed
    return since if current or server.admin is Admin.DRAIN else min(since, successor)
