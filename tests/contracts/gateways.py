"""The gateways that the contract of a service's pools is tried on: real HAProxies, and those in memory.

Both worlds have the real GatewayServers; what differs is what it reaches, the files and the sockets.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.assess.observation import Container, ProxyInstance, ProxyObservation, Server
from reconciler.core.assess.pool import Member, merge
from reconciler.core.desired.stack import ProxySettings, Role, Site, Stack, Strategy, Workload
from reconciler.core.names import VAULT_NET
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.routed import Grant, Routed
from reconciler.core.routes.table import settle
from reconciler.engines.memory.machine import Behaviour, Machine, MemoryContainer
from reconciler.proxy.base import NewServer
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.gateway.access import FILES, Files
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.maps import Maps, maps_of
from reconciler.proxy.haproxy.gateway.pool_file import PoolSettings
from reconciler.proxy.haproxy.gateway.pools import Need, assign, needs_of
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from reconciler.proxy.haproxy.reaching import OneHAProxy, Reach, reach
from reconciler.proxy.memory import MemoryGateways, MemoryServer
from reconciler.threads import Abreast, one_by_one, side_by_side
from tests.contracts.proxies import BEGINNING, TICK, Download, Session
from tests.e2e import waiting
from tests.proxy.conftest import IMAGE, Replica
from tests.proxy.conftest import docker as run_docker
from tests.proxy.haproxy.gateway.conftest import HEALTH, HTTP, POOLS, SPEC, SSH, START, GatewayWorld

GATEWAY: Final = "main"
SERVICE: Final = "s"
PLAIN: Final[dict[str, Any]] = {"hostnames": ["a.test"]}
STICKY: Final[dict[str, Any]] = {
    "hostnames": ["a.test"],
    "path": "/cart",
    "stripPath": True,
    "sticky": "cookie",
}
RAW: Final = TcpRoute(port=SSH, target=8000)

Seen = TypeVar("Seen")


class PoolsWorld(ABC):
    """A gateway with HAProxies in slots, and one service with replicas "one" and "two" whose pass the test is."""

    spec: GatewaySpec = SPEC
    files: Files
    at: Reach
    abreast: Abreast
    site: Site
    one: Replica
    two: Replica

    def open(self, clock: Callable[[], float]) -> None:
        """Write a gateway without routes, and start the HAProxy in slot 1."""
        self.held: dict[Need, str] = {}
        self.started: list[int] = []
        self.events = ServerEvents()
        self.proxy = GatewayServers(
            lambda: {GATEWAY: self.site}, clock, self.events, self.files, self.at, self.abreast
        )
        web = Workload("web", Role.WEB, 1, "web:1", "r", frozenset({"r"}), frozenset(), port=8000)
        self.stack = Stack(
            name=SERVICE,
            project=f"vault-{SERVICE}",
            published=0,
            site=self.site,
            document={},
            workloads=(web,),
            proxy=ProxySettings("web", HEALTH, hold_seconds=5.0, drain_seconds=10.0),
            strategy=Strategy("RollingUpdate", 1, 0, 0.0, 120.0, 10.0, auto_rollback=True),
            routed=Routed(),
        )
        self.route()
        self.start(1)

    # The gateway

    @abstractmethod
    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        """Look until the answer is true, and return it."""

    def start(self, slot: int, handover: int | None = None) -> None:
        """Start a HAProxy as the gateway would: its slot is named first."""
        self.started.append(slot)
        self.files.write_slots(self.site, self.started, {})
        self.boot(slot, handover)

    @abstractmethod
    def boot(self, slot: int, handover: int | None) -> None:
        """Start a HAProxy and wait until it answers."""

    @abstractmethod
    def signal(self, slot: int, how: str) -> None:
        """Send KILL, STOP or USR1 to the HAProxy in a slot."""

    @abstractmethod
    def request(self, path: str = "/", seconds: float = 0.0) -> Session:
        """Let a client ask a.test for what takes so long."""

    @abstractmethod
    def late(self) -> Replica:
        """A replica that does not answer yet, and will in a while."""

    def route(self, *routes: dict[str, Any] | TcpRoute) -> None:
        """Make these its routes, for the gateway as well; its pools have no servers."""
        http = [Route.model_validate(each, by_alias=True) for each in routes if isinstance(each, dict)]
        tcp = [each for each in routes if isinstance(each, TcpRoute)]
        tables, refusals = settle({GATEWAY: SPEC}, [Claimant(SERVICE, START, tuple(http), tuple(tcp))])
        assert not refusals
        needs = needs_of(tables[GATEWAY])
        self.held = dict(assign(needs.values(), self.held, (), POOLS).pools)
        pools = {route: self.held[need] for route, need in needs.items()}
        settings = dict.fromkeys(pools.values(), PoolSettings(HEALTH, 5.0))
        maps = maps_of(tables[GATEWAY], pools, settings)
        self.files.write_routes(self.site, self.held, maps)
        for pool, said in settings.items():
            self.files.write_pool(self.site, pool, (), said)
        for slot in self.started:
            self.haproxy(slot).change_maps(maps)
        grants = (*(Grant(GATEWAY, each) for each in http), *(Grant(GATEWAY, each) for each in tcp))
        self.stack = replace(self.stack, routed=Routed(grants))

    def haproxy(self, slot: int = 1) -> OneHAProxy:
        """The HAProxy in a slot, as the gateway's pass has it."""
        return self.at(self.site, slot, 20.0)

    def reload(self, slot: int = 1) -> None:
        """Start another worker."""
        self.haproxy(slot).pool("routes").reload(structure(self.spec, POOLS), every_pool=True)

    def led(self, maps: Maps) -> None:
        """Make these the maps of the HAProxy in slot 1."""
        self.haproxy().change_maps(maps)

    def pools(self, slot: int = 1) -> dict[str, dict[str, Server]]:
        """The servers that a HAProxy has, by pool."""
        return {
            pool: {s.name: s for s in self.haproxy(slot).pool(pool).processes()[0].servers}
            for pool in self.held.values()
        }

    # The service

    def observe(self, *containers: Container) -> ProxyObservation:
        """One look."""
        return self.proxy.observe(self.stack, containers)

    def instance(self, slot: int) -> ProxyInstance:
        """What was seen of one HAProxy."""
        return next(each for each in self.observe().instances if each.slot == slot)

    @property
    def slots(self) -> list[int]:
        """Those that answer."""
        return [each.slot for each in self.observe().instances if each.answering and each.slot is not None]

    def members(self) -> dict[str, Member]:
        """The pool that the plan sees."""
        return dict(merge(self.observe().instances))

    def up(self) -> set[str]:
        """The servers that get requests."""
        return {name for name, member in self.members().items() if member.up}

    def configure(self, *replicas: Replica) -> None:
        """Write these servers."""
        self.proxy.configure(self.stack, [(each.name, each.address) for each in replicas])

    def tell(self, *replicas: Replica, trusted: bool = True) -> None:
        """Add servers to every HAProxy that answers."""
        new = [NewServer(each.name, each.address, trusted) for each in replicas]
        self.proxy.add_servers(self.stack, self.slots, new)

    def add(self, *replicas: Replica) -> None:
        """Take replicas into service as a pass does: written first."""
        self.configure(*replicas)
        self.tell(*replicas)
        self.until("they are up", lambda: {each.name for each in replicas} <= self.up())

    def drain(self, replica: Replica, *slots: int) -> None:
        """Drain a server in these slots, or in every one that answers."""
        self.proxy.drain_servers(self.stack, slots or self.slots, [replica.name])

    def delete(self, replica: Replica, *, force: bool = False) -> None:
        """Delete a server from every HAProxy that answers."""
        self.proxy.delete_servers(self.stack, self.slots, [replica.name], force=force)

    def sessions(self, name: str) -> int:
        """The sessions that a server has in all HAProxies, workers and pools."""
        member = self.members().get(name)
        return member.sessions if member else 0

    def answering(self, path: str = "/") -> set[str]:
        """Who answers when some requests are made one after the other."""
        return {self.until("it is answered", self.request(path).server) for _ in range(16)}


class RealPools(PoolsWorld):
    """HAProxies of tests/proxy/haproxy/gateway."""

    def __init__(
        self, world: GatewayWorld, replicas: dict[str, Replica], more: Callable[..., Replica]
    ) -> None:
        self._world = world
        self._more = more
        self.files, self.at, self.site, self.abreast = FILES, reach, world.site, side_by_side
        self.one, self.two = replicas["one"], replicas["two"]
        world.write(SPEC)
        self.open(time.monotonic)

    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        return waiting.until(what, look)

    def boot(self, slot: int, handover: int | None) -> None:
        self._world.start(slot, handover)

    def signal(self, slot: int, how: str) -> None:
        run_docker("kill", f"--signal={how}", self._world.containers[slot])

    def request(self, path: str = "/", seconds: float = 0.0) -> Session:
        url = f"a.test/{path.strip('/')}".rstrip("/") + "/"
        return Download(HTTP, seconds, self._world.address, url)

    def late(self) -> Replica:
        return self._more("late", BOOT_SECONDS="3")


class MemoryGatewaySession(Session):
    """A request to a gateway in memory; a client waits for an answer while it is held."""

    def __init__(self, world: PoolsInMemory, path: str, seconds: float) -> None:
        self._world, self._path, self._seconds = world, path, seconds
        self._pool: dict[str, MemoryServer] = {}
        self._server: MemoryServer | None = None
        self._name = ""
        self._ends = inf
        self.server()

    def server(self) -> str:
        gateways, project = self._world.gateways, project_of(GATEWAY)
        for process in gateways.of(project).values() if not self._name else ():
            if not process.workers[0].current:
                continue
            answer = gateways.request(
                project, process.container, "a.test", self._path, self._seconds, self._world.choose
            )
            if answer and answer.pool and answer.server:
                self._name, self._ends = answer.server, self._world.time + self._seconds
                self._pool = process.workers[0].pools[answer.pool]
                self._server = self._pool[answer.server]
                break
        return self._name

    def whole(self) -> bool:
        self._world.until("it has ended", lambda: self._is_cut or self._world.time > self._ends)
        return not self._is_cut

    @property
    def _is_cut(self) -> bool:
        return bool(self._name) and self._pool.get(self._name) is not self._server


class PoolsInMemory(PoolsWorld):
    """HAProxies in memory; time passes while something is waited for."""

    def __init__(self, directory: Path) -> None:
        self.time = 0.0
        self._requests = 0
        self.machine = Machine(lambda: self.time, lambda: BEGINNING + timedelta(seconds=self.time))
        self.gateways = MemoryGateways(self.machine, lambda: self.time)
        self.files, self.at, self.abreast = self.gateways, self.gateways.at, one_by_one
        self.site = Site(directory / GATEWAY, 99, 99)
        self.one, self.two = (Replica(name, self._web(name, 0.0)) for name in ("one", "two"))
        self.time += 10.0
        self.files.write_configuration(self.site, SPEC, POOLS, IMAGE)
        self.open(lambda: self.time)

    def choose(self, names: Any) -> str:
        """In turn, as HAProxy does."""
        self._requests += 1
        return str(names[self._requests % len(names)])

    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        deadline = self.time + waiting.PATIENCE
        while not (seen := look()):
            assert self.time < deadline, f"not within {waiting.PATIENCE:g} s: {what} (last seen: {seen!r})"
            self.time += TICK
        return seen

    def boot(self, slot: int, handover: int | None) -> None:
        behaviour = Behaviour(boot=0.1, checked=False, stop=inf)
        self._container(f"haproxy-{slot}", project_of(GATEWAY), Role.PROXY, behaviour, slot)
        self.until("it answers", lambda: self.instance(slot).answering if self.held else self._boots(slot))

    def _boots(self, slot: int) -> bool:
        (process,) = (p for p in self.gateways.of(project_of(GATEWAY)).values() if p.slot == slot)
        return self.gateways.is_ready(process)

    def signal(self, slot: int, how: str) -> None:
        container = self.machine.containers[f"haproxy-{slot}".ljust(64, "0")]
        match how:
            case "KILL":
                self.machine.kill(container, by_hand=True)
            case "STOP":
                self.gateways.slow.add(container.id)
            case "USR1":
                self.machine.stop(container, inf)

    def request(self, path: str = "/", seconds: float = 0.0) -> Session:
        return MemoryGatewaySession(self, path, seconds)

    def late(self) -> Replica:
        return Replica("late", self._web("late", 1.0))

    def _web(self, name: str, boot: float) -> str:
        made = self._container(name, f"vault-{SERVICE}", Role.WEB, Behaviour(boot=boot))
        return f"{made.addresses[VAULT_NET]}:8000"

    def _container(
        self, name: str, project: str, role: Role, behaviour: Behaviour, slot: int | None = None
    ) -> MemoryContainer:
        made = MemoryContainer(
            id=name.ljust(64, "0"),
            name=name,
            service=SERVICE,
            project=project,
            workload=name,
            role=role,
            revision="r",
            behaviour=behaviour,
            number=1,
            created=BEGINNING + timedelta(seconds=self.time),
            networks=frozenset({VAULT_NET}),
            restarts=False,
            port=8000,
            slot=slot,
        )
        self.machine.add(made)
        self.machine.start(made)
        return made
