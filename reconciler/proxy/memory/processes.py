"""The HAProxies in memory as processes: which containers run one, its workers, and what these have of a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from reconciler.proxy.errors import ProxyError
from reconciler.proxy.memory.servers import Answering, MemoryServer, Servers

__all__ = ["BOOT", "OWN", "MemoryProcess", "MemoryProcesses", "MemoryWorker", "Network"]

BOOT: Final = 0.1
"""Seconds from a container's start until its HAProxy answers."""

OWN: Final = ""
"""The pool of a stack that has HAProxies of its own."""

Pools = dict[str, Servers]


class Network(Answering, Protocol):
    """The network of HAProxy; `changes` counts its changes."""

    changes: int

    def settle(self) -> None:
        """Apply all changes that are due by now."""

    def proxies(self, project: str) -> Iterable[tuple[str, int, float, bool]]:
        """The running HAProxy containers: ID, slot, when they started, whether they were asked to stop."""

    def frozen(self, project: str) -> Collection[int]:
        """The slots of HAProxy containers that are paused."""

    def end(self, container: str) -> None:
        """The process of this container exited by itself."""


@dataclass(slots=True)
class MemoryWorker:
    """One process; `superseded` when it must take no new connections. `maps` are what it looks up for each request;
    `ends` says for each pool when its last request ended, or will.
    """

    pid: int
    structure: str
    born: float
    pools: Pools
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    superseded: float | None = None

    @property
    def servers(self) -> Servers:
        """Those of the only pool of a stack."""
        return self.pools[OWN]

    @property
    def current(self) -> bool:
        """Whether it takes new connections."""
        return self.superseded is None

    @property
    def every_server(self) -> Iterator[MemoryServer]:
        """Those of all pools."""
        return (server for pool in self.pools.values() for server in pool.values())


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
        return sum(len(server.sessions) for worker in self.workers for server in worker.every_server)


class MemoryProcesses(ABC):
    """The HAProxies of projects. `mute` names the containers whose sockets do not answer, `slow` those of which only that
    of the master does not.
    """

    is_apart = False
    """Whether they may be in none of the networks of their servers."""

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        self.network = network
        self.clock = clock
        self.mute: set[str] = set()
        self.slow: set[str] = set()
        self._known: dict[str, dict[str, MemoryProcess]] = {}
        self._looked: dict[str, tuple[float, int]] = {}
        self._pids = 0

    @abstractmethod
    def read(self, project: str) -> MemoryWorker | None:
        """A worker that has read the files of a project; None if HAProxy would not start with them."""

    def of(self, project: str) -> Mapping[str, MemoryProcess]:
        """The running HAProxies by container: new ones have read the files, idle leaving ones have exited."""
        now = self.clock()
        known = self._known.setdefault(project, {})
        self.network.settle()
        look = (now, self.network.changes)
        if self._looked.get(project) == look:
            return known
        running = tuple(self.network.proxies(project))
        for id in known.keys() - {id for id, *_ in running}:
            del known[id]
        for id, slot, started, leaving in running:
            process = known.get(id)
            if process is None or process.started != started:
                known.pop(id, None)
                if (worker := self.read(project)) is None:
                    # Its container is started again and again until the files are there.
                    continue
                process = known[id] = MemoryProcess(id, slot, started, [worker])
            for worker in process.workers:
                for server in worker.every_server:
                    server.settle(self.network, now, id if self.is_apart else "")
            if len(process.workers) > 1:
                process.workers[1:] = [
                    w for w in process.workers[1:] if any(s.sessions for s in w.every_server)
                ]
            if leaving:
                self._supersede(process)
                if not process.sessions:
                    self.network.end(id)
                    del known[id]
        self._looked[project] = look
        return known

    def serves(self, process: MemoryProcess) -> bool:
        """Whether its worker takes connections and answers by itself."""
        return self.is_ready(process) and process.container not in self.mute and process.workers[0].current

    def is_ready(self, process: MemoryProcess) -> bool:
        """Whether it listens, on its socket and on the port."""
        return self.clock() >= process.started + BOOT

    def restart(self, process: MemoryProcess, project: str) -> MemoryWorker:
        """A new worker that takes over from the others, with the states of the servers of the current one.

        Raises ProxyError if it would not start; then the current one serves on.
        """
        former = process.workers[0].pools
        if (new := self.read(project)) is None:
            raise ProxyError(f"HAProxy in slot {process.slot} did not accept its new configuration")
        self._supersede(process)
        for pool, servers in new.pools.items():
            for name, server in servers.items():
                if (known := former.get(pool, {}).get(name)) and known.address == server.address:
                    server.admin, server.up, server.changed = known.admin, known.up, known.changed
        process.workers.insert(0, new)
        return new

    def next_pid(self) -> int:
        """Another number for each worker."""
        self._pids += 1
        return self._pids

    def _supersede(self, process: MemoryProcess) -> None:
        for worker in process.workers:
            if worker.current:
                worker.superseded = self.clock()
