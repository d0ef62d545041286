"""Gateways in memory: their directories, and their HAProxies one by one.

The code that reads, decides and tells is the real one (HAProxyGateways and GatewayServers); this stands for the files and
the sockets. Requests are led by the maps that a worker has, by the rule of core/routes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from typing import Final

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.assess.observation import Admin, Server
from reconciler.core.desired.stack import Site
from reconciler.core.routes.claims import HttpKey
from reconciler.core.routes.match import match
from reconciler.core.routes.table import Table
from reconciler.proxy.base import Counted, NewServer
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.files import Validate
from reconciler.proxy.haproxy.gateway.activity import PoolActivity
from reconciler.proxy.haproxy.gateway.certificates import Loaded
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway
from reconciler.proxy.haproxy.gateway.maps import SEPARATOR, Maps, led_by
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, WrittenPool
from reconciler.proxy.haproxy.gateway.pools import Need
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.gateway.tls_files import Certificates
from reconciler.proxy.haproxy.stats import Info, Process
from reconciler.proxy.memory.processes import MemoryProcess, MemoryProcesses, MemoryWorker, Network
from reconciler.proxy.memory.servers import MemoryServer, Servers, add, delete

__all__ = ["Answer", "MemoryDirectory", "MemoryGateways"]

NO_TLS: Final = "a HAProxy in memory has no certificates"
NO_NUMBERS: Final = "a HAProxy in memory counts nothing"


@dataclass(slots=True)
class MemoryDirectory:
    """What is in the directory of a gateway. `named` are the pools that its structure was made of."""

    structure: str = ""
    image: str = ""
    named: frozenset[str] = frozenset()
    pools: dict[str, WrittenPool | None] = field(default_factory=dict)
    held: dict[Need, str] = field(default_factory=dict)
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    slots: tuple[int, ...] = ()
    places: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a request: the route that it has, and the server that got it; "" while it is held. None of a pool for
    one that is answered without a server.
    """

    route: str
    pool: str | None
    server: str = ""


class MemoryGateways(MemoryProcesses):
    """Implements gateway.access.Files and, with `at`, reaching.Reach of reconciler.proxy.haproxy for all gateways."""

    is_apart = True

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        super().__init__(network, clock)
        self._directories: dict[str, MemoryDirectory] = {}

    # Files

    def directory(self, where: Path) -> MemoryDirectory:
        """The files of a gateway."""
        return self._directories.setdefault(project_of(where.name), MemoryDirectory())

    def read_gateway(self, site: Site) -> WrittenGateway:
        """See Files.read_gateway."""
        there = self.directory(site.directory)
        is_whole = there.named <= there.pools.keys()
        return WrittenGateway(
            structure=there.structure if is_whole else "",
            image=there.image if is_whole else "",
            pools=dict(there.pools),
            held=dict(there.held),
            maps=dict(there.maps),
        )

    def read_held(self, site: Site) -> Mapping[Need, str]:
        """See Files.read_held."""
        return dict(self.directory(site.directory).held)

    def read_slots(self, site: Site) -> tuple[int, ...]:
        """See Files.read_slots."""
        return self.directory(site.directory).slots

    def read_places(self, site: Site) -> Mapping[int, str]:
        """See Files.read_places."""
        return self.directory(site.directory).places

    def read_pools(self, site: Site, pools: Collection[str]) -> Mapping[str, WrittenPool | None]:
        """See Files.read_pools."""
        there = self.directory(site.directory).pools
        return {pool: there.get(pool) for pool in pools}

    def validate(self, site: Site, image: str, files: Mapping[str, str], judge: Validate) -> None:
        """See Files.validate; what is in the files is tested with the real HAProxy."""
        judge(image, site.config, f"{site.uid}:{site.gid}")

    def write_routes(self, site: Site, held: Mapping[Need, str], maps: Maps) -> None:
        """See Files.write_routes."""
        there = self.directory(site.directory)
        there.held, there.maps = dict(held), _copy(maps)

    def write_configuration(self, site: Site, spec: GatewaySpec, pools: Collection[str], image: str) -> None:
        """See Files.write_configuration."""
        there = self.directory(site.directory)
        for pool in pools:
            there.pools.setdefault(pool, WrittenPool())
        there.structure, there.image, there.named = structure(spec, pools), image, frozenset(pools)

    def write_slots(self, site: Site, slots: Collection[int], nodes: Mapping[int, str]) -> None:
        """See Files.write_slots."""
        there = self.directory(site.directory)
        there.slots, there.places = tuple(sorted(slots)), dict(nodes)

    def write_pool(
        self, site: Site, pool: str, servers: Collection[PoolServer], settings: PoolSettings | None
    ) -> None:
        """See Files.write_pool."""
        self.directory(site.directory).pools[pool] = WrittenPool(settings, tuple(sorted(servers)))

    # Sockets

    def at(self, site: Site, slot: int, seconds: float) -> MemoryHAProxy:
        """A Reach; what happens takes no time here."""
        return MemoryHAProxy(self, project_of(site.directory.name), slot)

    def listening(self, project: str, slot: int) -> MemoryProcess:
        """The HAProxy in a slot. Raises ProxyAwayError, and ProxyError for one that accepts connections and is silent."""
        found = [p for p in self.of(project).values() if p.slot == slot and self.is_ready(p)]
        if slot in self.network.frozen(project) or any(p.container in self.mute | self.slow for p in found):
            raise ProxyError(f"HAProxy in slot {slot} did not answer in time")
        if not found:
            raise ProxyAwayError(f"the socket of slot {slot} accepts no connection")
        return found[0]

    # Simulation

    def read(self, project: str) -> MemoryWorker | None:
        """See MemoryProcesses.read."""
        there, now = self._directories.get(project, MemoryDirectory()), self.clock()
        if not (there.structure and there.maps):
            return None
        pools = {
            pool: {s.name: MemoryServer(s.address, now, weight=s.weight) for s in said.servers}
            if said
            else {}
            for pool, said in there.pools.items()
        }
        return MemoryWorker(self.next_pid(), there.structure, now, pools, _copy(there.maps))

    def request(
        self,
        project: str,
        container: str,
        host: str,
        path: str,
        seconds: float,
        choose: Callable[[Sequence[str]], str],
    ) -> Answer | None:
        """Send a request to the HAProxy in `container` that lasts `seconds`; None where no route has it. See
        MemoryProxy.request.
        """
        worker = self.of(project)[container].workers[0]
        target = match(_table(worker.maps), host, path)
        if target is None:
            return None
        route, pool, *_ = target.split(SEPARATOR)
        if pool not in worker.pools:
            return Answer(route, None)
        servers = worker.pools[pool]
        up = [name for name, server in servers.items() if server.up for _ in range(server.weight)]
        if not up:
            worker.ends[pool] = max(self.clock(), worker.ends.get(pool, 0.0))
            return Answer(route, pool)
        name = choose(up)
        worker.ends[pool] = max(self.clock() + seconds, worker.ends.get(pool, 0.0))
        servers[name].sessions.append(self.clock() + seconds)
        return Answer(route, pool, name)


@dataclass(frozen=True, slots=True)
class MemoryHAProxy:
    """Implements OneHAProxy, and Pool for the pool of this name."""

    gateways: MemoryGateways
    project: str
    slot: int
    name: str = ""

    @property
    def _process(self) -> MemoryProcess:
        return self.gateways.listening(self.project, self.slot)

    # OneHAProxy

    def pool(self, name: str) -> MemoryHAProxy:
        """See OneHAProxy.pool."""
        return MemoryHAProxy(self.gateways, self.project, self.slot, name)

    def read_maps(self, names: Iterable[str], pid: int = 0) -> Maps:
        """See OneHAProxy.read_maps."""
        maps = self._process.workers[0].maps
        return {name: dict(maps[name]) for name in names if name in maps}

    def change_maps(self, wanted: Maps) -> None:
        """See OneHAProxy.change_maps."""
        maps = self._process.workers[0].maps
        maps.update((name, dict(entries)) for name, entries in wanted.items() if name in maps)

    def set_entries(self, entries: Maps) -> None:
        """See OneHAProxy.set_entries."""
        maps = self._process.workers[0].maps
        for name, pairs in entries.items():
            maps.setdefault(name, {}).update(pairs)

    def led_to(self) -> frozenset[str]:
        """See OneHAProxy.led_to."""
        return led_by(self._process.workers[0].maps)

    def pools(self) -> frozenset[str]:
        """See OneHAProxy.pools."""
        return frozenset(self._process.workers[0].pools)

    def activity(self, pools: Sequence[str]) -> Iterable[PoolActivity]:
        """See OneHAProxy.activity."""
        now = self.gateways.clock()
        return [_activity(worker, pool, now) for worker in self._process.workers for pool in pools]

    def read_certificates(self) -> Loaded:
        """See OneHAProxy.read_certificates."""
        raise ProxyError(NO_TLS)

    def change_certificates(self, wanted: Certificates) -> None:
        """See OneHAProxy.change_certificates."""
        raise ProxyError(NO_TLS)

    def counted(self, pools: Sequence[str]) -> Counted:
        """See OneHAProxy.counted."""
        raise ProxyError(NO_NUMBERS)

    def metrics(self) -> str:
        """See OneHAProxy.metrics."""
        raise ProxyError(NO_NUMBERS)

    # Pool

    def processes(self) -> tuple[Process, ...]:
        """See Pool.processes."""
        now = self.gateways.clock()
        return tuple(_seen(worker, self.name, now) for worker in self._process.workers)

    def serves(self) -> bool:
        """See Pool.serves."""
        known = self.gateways.of(self.project).values()
        return any(self.gateways.serves(process) for process in known if process.slot == self.slot)

    def add_servers(self, servers: Sequence[NewServer], options: Callable[[str], str]) -> None:
        """See Pool.add_servers; of their options, those of a check are not modelled."""
        for pool in self._changeable():
            if pool is None:
                raise ProxyError(f'HAProxy in slot {self.slot} answered "add server" with: No such backend.')
            add(pool, servers, self.gateways.clock())

    def set_weights(self, weights: Sequence[tuple[str, int]]) -> None:
        """See Pool.set_weights."""
        for pool in self._changeable():
            for name, weight in weights:
                if known := (pool or {}).get(name):
                    known.weight = weight

    def drain_servers(self, names: Sequence[str]) -> None:
        """See Pool.drain_servers."""
        for pool in self._changeable():
            for name in names:
                if known := (pool or {}).get(name):
                    known.drain(self.gateways.clock())

    def restore_servers(self, names: Sequence[str]) -> None:
        """See Pool.restore_servers."""
        for pool in self._changeable():
            for name in names:
                if (known := (pool or {}).get(name)) and known.admin is not Admin.READY:
                    known.admin, known.up, known.changed = Admin.READY, True, self.gateways.clock()

    def delete_servers(self, names: Sequence[str], *, force: bool) -> None:
        """See Pool.delete_servers."""
        if force:
            for worker in self._process.workers:
                if not worker.current:
                    for name in names:
                        worker.pools.get(self.name, {}).pop(name, None)
        now = self.gateways.clock()
        for pool in self._changeable():
            servers = pool or {}
            busy = [name for name in names if not delete(servers, name, now, force=force)]
            if busy:
                sessions = len(servers[busy[0]].sessions)
                raise ProxyError(f"server {busy[0]} cannot be deleted, it still has {sessions} sessions")

    def reload(self, expected: str, *, every_pool: bool = False) -> None:
        """See Pool.reload."""
        process = self._process
        if process.workers[0].superseded is not None:
            raise ProxyError(f"HAProxy in slot {self.slot} leaves")
        started = self.gateways.restart(process, self.project)
        if started.structure != expected:
            raise ProxyError(
                f"HAProxy in slot {self.slot} was reloaded with something else, not with {expected}"
            )

    def _changeable(self) -> Iterable[Servers | None]:
        """The pool in the current worker, unless that leaves; None if it has none of this name."""
        return [worker.pools.get(self.name) for worker in self._process.workers if worker.current]


def _table(maps: Maps) -> Table:
    """What the map of routes says, with the whole target as the id of a route."""
    found: dict[HttpKey, str] = {}
    for key, target in maps.get("routes", {}).items():
        host, slash, prefix = key.partition("/")
        found[HttpKey(host, slash + prefix)] = target
    return Table("", http=found)


def _seen(worker: MemoryWorker, pool: str, now: float) -> Process:
    """As HAProxy reports it, in whole seconds."""
    servers = (
        Server(
            name=name,
            address=server.address,
            admin=server.admin,
            up=server.up,
            sessions=len(server.sessions),
            since=float(floor(now - server.changed)),
            weight=server.weight,
        )
        for name, server in worker.pools.get(pool, {}).items()
    )
    info = Info(
        worker.pid, worker.structure, stopping=not worker.current, uptime=float(floor(now - worker.born))
    )
    return Process(info, tuple(servers), serving=worker.current)


def _activity(worker: MemoryWorker, pool: str, now: float) -> PoolActivity:
    last = worker.ends.get(pool)
    idle = now - (worker.born if last is None else min(last, now))
    open_ = sum(len(server.sessions) for server in worker.pools.get(pool, {}).values())
    return PoolActivity(idle, is_known=last is not None, open=open_)


def _copy(maps: Maps) -> dict[str, dict[str, str]]:
    return {name: dict(entries) for name, entries in maps.items()}
