"""The proxies in front of a stack, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Final, TypeGuard

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
from reconciler.proxy.memory.activity import MemoryActivity
from reconciler.proxy.memory.processes import OWN, MemoryProcess, MemoryProcesses, MemoryWorker, Network
from reconciler.proxy.memory.servers import MemoryServer, add, delete
from reconciler.proxy.silence import Silence

__all__ = ["MemoryFile", "MemoryProxy"]


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """The haproxy.cfg of a stack."""

    structure: str
    servers: Mapping[str, str]
    image: str
    weights: Mapping[str, int] = field(default_factory=dict)


class MemoryProxy(MemoryProcesses):
    """Implements reconciler.proxy.base.Proxy."""

    front: Final[FrontDoor] = FRONT

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        super().__init__(network, clock)
        self.files: dict[str, MemoryFile] = {}
        self._silence = Silence(clock)
        self.activity = MemoryActivity(clock)

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
                ProxyInstance(
                    id,
                    answering=False,
                    silent=silent[id],
                    serves=id in processes and self.serves(processes[id]),
                )
                if id in silent
                else self._instance(answering[id])
                for id in running
            ),
            activity=None
            if stack.idle is None or silent
            else self.activity.of(
                stack.project, (p.workers[0].born for p in answering.values() if p.workers[0].current)
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
            self.restart(process, stack.project)

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """See Proxy.add_servers."""
        for worker in self._current(stack, slots):
            add(worker.servers, servers, self.clock())

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
                    known.drain(self.clock())

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
        now = self.clock()
        for worker in self._current(stack, slots):
            busy = [server for server in servers if not delete(worker.servers, server, now, force=force)]
            if busy:
                sessions = len(worker.servers[busy[0]].sessions)
                raise ProxyError(f"server {busy[0]} cannot be deleted, it still has {sessions} sessions")

    # Simulation

    def processes(self, stack: Stack) -> Mapping[str, MemoryProcess]:
        """The running HAProxies of a stack by container."""
        return self.of(stack.project)

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
        self.activity.came(stack.project, seconds)
        worker.servers[name].sessions.append(self.clock() + seconds)
        return name

    def read(self, project: str) -> MemoryWorker:
        """See MemoryProcesses.read."""
        file, now = self.files.get(project), self.clock()
        if file is None:
            return MemoryWorker(self.next_pid(), "", now, {OWN: {}})
        servers = {
            name: MemoryServer(address, now, weight=file.weights.get(name, DEFAULT_WEIGHT))
            for name, address in file.servers.items()
        }
        return MemoryWorker(self.next_pid(), file.structure, now, {OWN: servers})

    def _answers(self, process: MemoryProcess | None) -> TypeGuard[MemoryProcess]:
        return (
            process is not None and process.container not in self.mute | self.slow and self.is_ready(process)
        )

    def _instance(self, process: MemoryProcess) -> ProxyInstance:
        now = self.clock()
        successor = min((now - w.born for w in process.workers if w.current), default=now)
        return ProxyInstance(
            container=process.container,
            answering=True,
            structure=process.workers[0].structure,
            workers=tuple(_seen(worker, now, successor) for worker in process.workers),
        )

    def _listening(self, stack: Stack, slots: Sequence[int]) -> list[MemoryProcess]:
        found = [p for p in self.processes(stack).values() if p.slot in slots and self.is_ready(p)]
        for process in found:
            if process.container in self.mute | self.slow:
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
