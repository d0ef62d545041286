"""The proxies that the contract is tried on, each with HAProxies, replicas and clients.

`ProxyWorld` is what the tests are written against. The real one is the world of tests/proxy: containers and sockets; in
the one in memory, sessions last as long as a machine's clock says.
"""

from __future__ import annotations

import http.client
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Final, TypeVar

from reconciler.core.assess.observation import (
    Admin,
    Container,
    Health,
    ProxyObservation,
    ProxyWorker,
    Server,
    State,
)
from reconciler.core.desired.stack import Role, Stack
from reconciler.engines.memory.machine import Behaviour, Machine, MemoryContainer
from reconciler.proxy.base import NewServer, Proxy
from reconciler.proxy.memory import MemoryProxy, MemoryServer, MemoryWorker
from tests.e2e import waiting
from tests.proxy.conftest import Replica, World, make_stack

TICK: Final = 0.05
BEGINNING: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)

Seen = TypeVar("Seen")


class Session(ABC):
    """A request that a client has made, and that lasts a while."""

    @abstractmethod
    def server(self) -> str:
        """The replica that answers it; "" while the request is held."""

    @abstractmethod
    def whole(self) -> bool:
        """Wait for its end: whether it was served to the end."""


class ProxyWorld(ABC):
    """HAProxies in slots in front of replicas "one" and "two"."""

    proxy: Proxy
    stack: Stack
    one: Replica
    two: Replica

    def __init__(self) -> None:
        self.containers: dict[int, Container] = {}

    @abstractmethod
    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        """Look until the answer is true, and return it."""

    @abstractmethod
    def start(self, slot: int = 1) -> None:
        """Start a HAProxy and wait until it answers."""

    @abstractmethod
    def kill(self, slot: int = 1) -> None:
        """Kill a HAProxy; the engine's list still says that it runs."""

    @abstractmethod
    def leave(self, slot: int = 1) -> None:
        """Ask a HAProxy to end when its sessions have ended."""

    @abstractmethod
    def freeze(self, slot: int = 1) -> None:
        """Let its master answer nothing any more; its worker serves on."""

    @abstractmethod
    def late(self) -> Replica:
        """A replica that does not answer yet, and will in a while."""

    @abstractmethod
    def request(self, seconds: float = 0.0) -> Session:
        """Let a client make a request whose answer takes so long."""

    def change(self, **settings: object) -> None:
        """Want other settings of HAProxy from now on."""
        self.stack = replace(self.stack, proxy=replace(self.stack.proxy, **settings))  # type: ignore[arg-type]

    def configure(self, *replicas: Replica) -> None:
        """Write the configuration with these servers."""
        self.proxy.configure(self.stack, [(replica.name, replica.address) for replica in replicas])

    def add(self, *replicas: Replica, trusted: bool = True) -> None:
        """Add servers to every HAProxy."""
        new = [NewServer(replica.name, replica.address, trusted) for replica in replicas]
        self.proxy.add_servers(self.stack, self.slots, new)

    def drain(self, *names: str) -> None:
        """Drain servers in every HAProxy."""
        self.proxy.drain_servers(self.stack, self.slots, names)

    def delete(self, *names: str, force: bool = False) -> None:
        """Delete servers from every HAProxy."""
        self.proxy.delete_servers(self.stack, self.slots, names, force=force)

    @property
    def slots(self) -> list[int]:
        """The slots that have a HAProxy."""
        return list(self.containers)

    def observe(self) -> ProxyObservation:
        """One look."""
        return self.proxy.observe(self.stack, list(self.containers.values()))

    def workers(self, slot: int = 1) -> tuple[ProxyWorker, ...]:
        """The workers of a HAProxy, the current one first."""
        by_id = {instance.container: instance for instance in self.observe().instances}
        return by_id[self.containers[slot].id].workers

    def servers(self, slot: int = 1) -> dict[str, Server]:
        """The servers of the current worker."""
        current = [worker for worker in self.workers(slot) if worker.current]
        return {server.name: server for worker in current for server in worker.servers}

    def up(self, slot: int = 1) -> set[str]:
        """The servers that get requests."""
        return {name for name, each in self.servers(slot).items() if each.up and each.admin is Admin.READY}

    def sessions(self, name: str) -> int:
        """The sessions that a server has in all HAProxies and workers."""
        workers = (worker for slot in self.slots for worker in self.workers(slot))
        return sum(each.sessions for worker in workers for each in worker.servers if each.name == name)

    def answering(self) -> set[str]:
        """Who answers when some requests are made one after the other."""
        return {self.until("it is answered", self.request().server) for _ in range(16)}


class Download(Session):
    """A request to the real one; a thread reads the answer."""

    def __init__(self, port: int, seconds: float, address: str = "127.0.0.1", url: str = "") -> None:
        self._address, self._port = address, port
        self._headers = {"Host": url.partition("/")[0]} if url else {}
        self._path = f"/{url.partition('/')[2]}stream?seconds={seconds}"
        self._server = ""
        self._body = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        connection = http.client.HTTPConnection(self._address, self._port, timeout=waiting.PATIENCE)
        try:
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            self._server = answer.headers.get("X-Replica", f"nobody: {answer.status}")
            self._body = answer.read()
            answer.close()
        except http.client.IncompleteRead as cut:
            self._body = cut.partial
        finally:
            connection.close()

    def server(self) -> str:
        return self._server

    def whole(self) -> bool:
        self._thread.join(waiting.PATIENCE)
        assert not self._thread.is_alive()
        return self._body.endswith(b"end\n")


class RealWorld(ProxyWorld):
    """Containers of HAProxy; see tests/proxy."""

    def __init__(self, world: World, replicas: dict[str, Replica], more: Callable[..., Replica]) -> None:
        super().__init__()
        self._world = world
        self._more = more
        self.proxy = world.proxy
        self.stack = world.stack
        self.one, self.two = replicas["one"], replicas["two"]
        self.containers = world.containers

    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        return waiting.until(what, look)

    def start(self, slot: int = 1) -> None:
        self._world.start(slot)

    def kill(self, slot: int = 1) -> None:
        self._world.signal(slot, "KILL")

    def leave(self, slot: int = 1) -> None:
        self._world.signal(slot, "USR1")

    def freeze(self, slot: int = 1) -> None:
        self._world.signal(slot, "STOP")

    def late(self) -> Replica:
        return self._more("late", BOOT_SECONDS="3")

    def request(self, seconds: float = 0.0) -> Session:
        return Download(self._world.port, seconds)


class MemorySession(Session):
    """A request to a proxy in memory; a client waits for an answer while it is held."""

    def __init__(self, world: WorldInMemory, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._worker: MemoryWorker | None = None
        self._server: MemoryServer | None = None
        self._name = ""
        self._ends = inf
        self.server()

    def server(self) -> str:
        processes = self._world.proxy.processes(self._world.stack)
        for process in processes.values() if not self._name else ():
            name = self._world.proxy.request(
                self._world.stack, process.container, self._seconds, self._world.choose
            )
            if name:
                self._name, self._ends = name, self._world.time + self._seconds
                self._worker = process.workers[0]
                self._server = self._worker.servers[name]
                break
        return self._name

    def whole(self) -> bool:
        self._world.until("it has ended", lambda: self._is_cut or self._world.time > self._ends)
        return not self._is_cut

    @property
    def _is_cut(self) -> bool:
        return self._worker is not None and self._worker.servers.get(self._name) is not self._server


class WorldInMemory(ProxyWorld):
    """Proxies in memory; time passes while something is waited for."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.time = 0.0
        self.machine = Machine(lambda: self.time, self.now)
        self.proxy: MemoryProxy = MemoryProxy(self.machine, lambda: self.time)
        self.stack = make_stack(directory)
        self.one, self.two = (Replica(name, self._web(name, boot=0.0)) for name in ("one", "two"))
        self.time += 10.0
        self._requests = 0

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.time)

    def choose(self, names: Sequence[str]) -> str:
        """In turn, as HAProxy does."""
        self._requests += 1
        return names[self._requests % len(names)]

    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        deadline = self.time + waiting.PATIENCE
        while not (seen := look()):
            assert self.time < deadline, f"not within {waiting.PATIENCE:g} s: {what} (last seen: {seen!r})"
            self.time += TICK
        return seen

    def start(self, slot: int = 1) -> None:
        made = self._container(
            f"haproxy-{slot}", Role.PROXY, Behaviour(boot=0.1, checked=False, stop=inf), slot
        )
        self.containers[slot] = Container(
            id=made.id,
            name=made.name,
            workload="haproxy",
            role=Role.PROXY,
            revision="r",
            state=State.RUNNING,
            health=Health.NONE,
            created=made.created,
            slot=slot,
        )
        self.until("it answers", lambda: self.workers(slot))

    def kill(self, slot: int = 1) -> None:
        self.machine.kill(self.machine.containers[self.containers[slot].id], by_hand=True)

    def leave(self, slot: int = 1) -> None:
        self.machine.stop(self.machine.containers[self.containers[slot].id], inf)

    def freeze(self, slot: int = 1) -> None:
        self.proxy.slow.add(self.containers[slot].id)

    def late(self) -> Replica:
        return Replica("late", self._web("late", boot=1.0))

    def request(self, seconds: float = 0.0) -> Session:
        return MemorySession(self, seconds)

    def _web(self, name: str, boot: float) -> str:
        made = self._container(name, Role.WEB, Behaviour(boot=boot))
        return f"{next(iter(made.addresses.values()))}:8000"

    def _container(
        self, name: str, role: Role, behaviour: Behaviour, slot: int | None = None
    ) -> MemoryContainer:
        made = MemoryContainer(
            id=name.ljust(64, "0"),
            name=name,
            service=self.stack.name,
            project=self.stack.project,
            workload=name,
            role=role,
            revision="r",
            behaviour=behaviour,
            number=1,
            created=self.now(),
            networks=frozenset({"vault-net"}),
            restarts=False,
            port=8000,
            slot=slot,
        )
        self.machine.add(made)
        self.machine.start(made)
        return made


def dead(replica: Replica) -> Replica:
    """A server at an address without a listener."""
    return Replica("dead", replica.address.replace(":8000", ":1"))
