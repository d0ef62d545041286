"""The proxy of a stack whose replicas are servers in pools of gateways.

The HAProxies belong to gateways, and so do their configuration, their routes, and which pool is whose. Of the pools that
the stack has and needs, this is the only writer: of their files, of their servers, and of what maps say about their checks.
To the plan they are one pool.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, ParamSpec, TypeVar

from reconciler.api.errors import PermanentError
from reconciler.core.assess.observation import (
    DEFAULT_WEIGHT,
    Activity,
    Container,
    ProxyInstance,
    ProxyObservation,
)
from reconciler.core.desired.stack import Site, Stack
from reconciler.core.plan.front import FrontDoor
from reconciler.core.routes.routed import Routed
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.haproxy.gateway.access import FILES, Files
from reconciler.proxy.haproxy.gateway.activity import PoolActivity, latest
from reconciler.proxy.haproxy.gateway.addresses import Ports, in_plan, in_pool, ports_of
from reconciler.proxy.haproxy.gateway.events import whose
from reconciler.proxy.haproxy.gateway.looking import workers_of
from reconciler.proxy.haproxy.gateway.maps import Maps, settings_maps
from reconciler.proxy.haproxy.gateway.pool_file import (
    PoolServer,
    PoolSettings,
    WrittenPool,
    server_options,
    settings_text,
)
from reconciler.proxy.haproxy.gateway.ways import Needs, Way, needs_of_service, ways_of
from reconciler.proxy.haproxy.reaching import OneHAProxy, Pool, Reach, reach
from reconciler.proxy.silence import Silence
from reconciler.threads import Abreast, side_by_side

__all__ = ["GatewayServers"]

LOOK_SECONDS: Final = 4.0
"""Timeout of one observation of one pool in one HAProxy."""
CHANGE_SECONDS: Final = 10.0
"""Timeout of one change of one pool in one HAProxy."""

P = ParamSpec("P")
T = TypeVar("T")


class GatewayServers:
    """Implements reconciler.proxy.base.Proxy; any thread may use it for any stack with routes.

    `sites` are the directories of all gateways by name, `clock` gives monotonic seconds. `files` and `at` are how it
    reaches them, `abreast` how it asks and tells several HAProxies. A change has to be confirmed by all of them that run.
    """

    front: Final[FrontDoor] = FRONT

    def __init__(
        self,
        sites: Callable[[], Mapping[str, Site]],
        clock: Callable[[], float],
        events: ServerEvents,
        files: Files = FILES,
        at: Reach = reach,
        abreast: Abreast = side_by_side,
    ) -> None:
        self._abreast = abreast
        self._sites = sites
        self._files = files
        self._at = at
        self._silence = Silence(clock)
        self._events = events
        self._numbers: dict[str, int] = {}
        self._numbering = threading.Lock()

    def closed(self, stack: Stack) -> str:
        """See Proxy.closed."""
        needs = _needs(stack)
        if not needs:
            return (
                "its routes only redirect, so no request reaches its replicas; add a route without redirect"
            )
        if any(way.served and way.gateway in needs for way in self._ways(stack.name, needs)):
            return ""
        return f"waits for gateway {' and '.join(sorted(needs))} to give it a pool"

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """See Proxy.observe; `containers` tell on which port each replica serves."""
        needs, ports = _needs(stack), ports_of(stack, containers)
        ways = self._ways(stack.name, needs)
        expected = _checked(_state, ways, _settings(stack))
        written = [(port, said) for way in ways for port, said in self._written(way)]
        views = [_in_plan(said, port, ports) for port, said in written if said is not None]
        servers = {server.name: server for view in views for server in view}
        settings = _agreed([said for _, said in written]) if len(set(views)) == 1 else None
        for way in ways:
            with suppress(OSError):
                # Without events, a change is seen by the next pass.
                self._events.listen(whose(way.site), way.site)
        instances = tuple(self._instances(stack, ways, ports, expected))
        led = {way.gateway: tuple(self._led(way, instances)) for way in ways}
        return ProxyObservation(
            expected=expected,
            # Files that disagree are written again, like those with other settings.
            written=_state(ways, settings) if settings else None,
            configured={name: server.address for name, server in servers.items()},
            weights={name: s.weight for name, s in servers.items() if s.weight != DEFAULT_WEIGHT},
            instances=instances,
            name=" and ".join(f"gateway {way.gateway}" for way in ways),
            file=" and ".join(map(_place, ways)),
            awaited=_awaited(ways, needs, led),
            activity=None if stack.idle is None else self._activity(ways),
        )

    def events(self) -> Iterator[str]:
        """See Proxy.events."""
        return self._events.follow()

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        """See Proxy.configure. Maps of running HAProxies have the settings before the first check asks for them; one that
        does not answer keeps no gateway from its files.
        """
        if reason := self.closed(stack):
            raise ProxyError(reason)
        settings, shares = _settings(stack), dict(weights)
        ways = self._ways(stack.name, _needs(stack))
        for way in ways:
            for pool, port in way.served.items():
                named = [
                    PoolServer(name, in_pool(address, port), shares.get(name, DEFAULT_WEIGHT))
                    for name, address in servers
                ]
                self._write(way, pool, named, settings)
        for way in ways:
            entries = _checked(settings_maps, dict.fromkeys(way.served, settings))
            self._set_entries(way, entries)

    def reload(self, stack: Stack, slot: int) -> None:
        """See Proxy.reload; only a gateway's own pass does it."""
        raise ProxyError(f"the HAProxy in slot {slot} belongs to a gateway, which reloads it")

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """See Proxy.add_servers."""

        def add(told: Pool, pool: str, port: int) -> None:
            new = [NewServer(s.name, in_pool(s.address, port), s.trusted, s.weight) for s in servers]
            told.add_servers(new, lambda name: server_options(pool, name, stack.proxy.health))

        self._tell(stack, slots, _served, add)

    def set_weights(self, stack: Stack, slots: Sequence[int], weights: Sequence[tuple[str, int]]) -> None:
        """See Proxy.set_weights."""
        self._tell(stack, slots, _served, lambda told, *_: told.set_weights(weights))

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        """See Proxy.drain_servers; also in pools that the stack no longer needs."""
        self._tell(stack, slots, _every_pool, lambda told, *_: told.drain_servers(servers))

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        """See Proxy.delete_servers; also from pools that the stack no longer needs."""
        self._tell(stack, slots, _every_pool, lambda told, *_: told.delete_servers(servers, force=force))

    def withdraw(self, name: str, *, force: bool) -> int:
        """See Proxy.withdraw. A HAProxy that does not answer is left to its gateway, and its routes are gone with the
        object. Files keep their settings: as long as they do, the gateway looks for servers, also in a HAProxy that answers
        later.
        """
        left = 0
        for way in self._ways(name, {}):
            for pool in way.every_pool:
                said = self._files.read_pools(way.site, [pool])[pool]
                if said and said.settings:
                    self._write(way, pool, (), said.settings)
            left += sum(self._abreast(partial(self._withdrawn, way, force=force), way.slots))
        return left

    def _withdrawn(self, way: Way, slot: int, *, force: bool) -> int:
        """Take the servers out of all pools in one HAProxy; returns the sessions that are left."""
        left = 0
        for pool in way.every_pool:
            with suppress(ProxyError):
                left += _empty(self._told_to(way, slot).pool(pool), force=force)
        return left

    def _ways(self, name: str, needs: Needs) -> tuple[Way, ...]:
        sites = self._sites()
        with self._numbering:
            for gateway in sorted(sites):
                self._numbers.setdefault(gateway, len(self._numbers))
        ways = ways_of(name, needs, sites, self._numbers, self._files)
        return tuple(way.keeping(self._still_led(way)) if way.former else way for way in ways)

    def _still_led(self, way: Way) -> frozenset[str]:
        """The pools that requests come to, in a HAProxy that runs or in one that starts."""
        starting = frozenset(self._files.read_gateway(way.site).led.values())
        told = self._abreast(partial(self._led_to, way), way.slots)
        return starting.union(*filter(None, told))

    def _led_to(self, way: Way, slot: int) -> frozenset[str] | None:
        """The pools that one HAProxy leads requests to; None if it does not tell."""
        try:
            return self._at(way.site, slot, LOOK_SECONDS).led_to()
        except ProxyError:
            return None

    def _tell(
        self,
        stack: Stack,
        codes: Sequence[int],
        pools: Callable[[Way], Mapping[str, int]],
        change: Callable[[Pool, str, int], None],
    ) -> None:
        """Change these pools, each with its port, in every HAProxy that has one of these names in operations, and that
        listens.
        """

        def tell(told: tuple[Way, int]) -> None:
            way, slot = told
            for pool, port in pools(way).items():
                with suppress(ProxyAwayError):
                    change(self._told_to(way, slot).pool(pool), pool, port)

        self._abreast(tell, self._told(stack, codes))

    def _set_entries(self, way: Way, entries: Maps) -> None:
        def tell(slot: int) -> None:
            with suppress(ProxyAwayError):
                self._told_to(way, slot).set_entries(entries)

        self._abreast(tell, way.slots)

    def _told(self, stack: Stack, codes: Sequence[int]) -> Iterator[tuple[Way, int]]:
        """The HAProxies that have these names in operations."""
        for way in self._ways(stack.name, _needs(stack)):
            for code in codes:
                if (slot := way.slot(code)) is not None:
                    yield way, slot

    def _instances(
        self, stack: Stack, ways: Sequence[Way], ports: Ports, structure: str
    ) -> Iterator[ProxyInstance]:
        seen = {
            (way.gateway, slot, way.code(slot)): workers
            for way in ways
            for slot, workers in workers_of(way, ports, self._looking(way), self._abreast).items()
        }
        places = {way.gateway: self._files.read_places(way.site) for way in ways}
        names = {key: _called(key[0], key[1], places[key[0]]) for key in seen}
        silent = self._silence.of(stack.project, [names[key] for key, found in seen.items() if found is None])
        for key, workers in seen.items():
            if workers is None:
                yield ProxyInstance(names[key], answering=False, silent=silent[names[key]], slot=key[2])
            else:
                # What it was started with is its gateway's business.
                yield ProxyInstance(names[key], True, structure, workers, slot=key[2])

    def _led(self, way: Way, instances: Sequence[ProxyInstance]) -> Iterator[frozenset[str]]:
        """The pools that each HAProxy which takes connections leads to; one that leaves leads them to another one."""
        listening = {i.slot for i in instances if any(worker.current for worker in i.workers)}
        asked = [slot for slot in way.slots if way.code(slot) in listening]
        told = self._abreast(partial(self._led_to, way), asked)
        return (pools for pools in told if pools is not None)

    def _written(self, way: Way) -> Iterator[tuple[int, WrittenPool | None]]:
        try:
            found = self._files.read_pools(way.site, tuple(way.served))
        except OSError as error:
            raise ProxyError(f"cannot read {_place(way)}: {error}") from error
        for pool, port in way.served.items():
            yield port, found[pool]

    def _write(
        self, way: Way, pool: str, servers: Sequence[PoolServer], settings: PoolSettings | None
    ) -> None:
        try:
            _checked(self._files.write_pool, way.site, pool, servers, settings)
        except OSError as error:
            raise ProxyError(f"cannot write pool {pool} of gateway {way.gateway}: {error}") from error

    def _activity(self, ways: Sequence[Way]) -> Activity | None:
        """The activity of all pools in all HAProxies; None when one of these does not tell, or there is none."""

        def ask(asked: tuple[Way, int]) -> Sequence[PoolActivity]:
            way, slot = asked
            return tuple(self._at(way.site, slot, LOOK_SECONDS).activity(sorted(way.every_pool)))

        try:
            told = self._abreast(ask, [(way, slot) for way in ways for slot in way.slots])
        except ProxyError:
            return None
        return latest(each for its in told for each in its)

    def _looking(self, way: Way) -> Callable[[int, str], Pool]:
        return lambda slot, pool: self._at(way.site, slot, LOOK_SECONDS).pool(pool)

    def _told_to(self, way: Way, slot: int) -> OneHAProxy:
        return self._at(way.site, slot, CHANGE_SECONDS)


def _called(gateway: str, slot: int, places: Mapping[int, str]) -> str:
    """What people call a HAProxy of a gateway."""
    where = f" on {places[slot]}" if slot in places else ""
    return f"gateway {gateway} slot {slot}{where}"


def _needs(stack: Stack) -> Needs:
    return needs_of_service(stack.name, stack.routed or Routed())


def _settings(stack: Stack) -> PoolSettings:
    return PoolSettings(stack.proxy.health, stack.proxy.hold_seconds)


def _state(ways: Sequence[Way], settings: PoolSettings) -> str:
    """The digest of all that files of pools say besides servers."""
    pools = sorted(f"{way.gateway} {pool} {port}" for way in ways for pool, port in way.served.items())
    return hashlib.sha256("\n".join([*pools, settings_text(settings)]).encode()).hexdigest()[:12]


def _agreed(files: Sequence[WrittenPool | None]) -> PoolSettings | None:
    """The settings that all files say; None if one of them has none, or others."""
    said = {file.settings if file else None for file in files}
    return said.pop() if len(said) == 1 else None


def _in_plan(said: WrittenPool, port: int, ports: Ports) -> tuple[PoolServer, ...]:
    return tuple(
        PoolServer(each.name, in_plan(each.name, each.address, port, ports), each.weight)
        for each in said.servers
    )


def _awaited(ways: Sequence[Way], needs: Needs, led: Mapping[str, Sequence[frozenset[str]]]) -> str:
    """What gateways still have to do for it, the first thing."""
    had = {way.gateway: way for way in ways}
    for gateway, wanted in sorted(needs.items()):
        if gateway not in had or len(had[gateway].pools) < len(wanted):
            return f"gateway {gateway} has no pool for some of its routes yet"
    for way in ways:
        for pools in led[way.gateway]:
            if missing := sorted(set(way.pools) - pools):
                return f"gateway {way.gateway} does not lead requests to pool {missing[0]} yet"
    return ""


def _place(way: Way) -> str:
    pools = ", ".join(way.served)
    return f"{'pools' if len(way.served) > 1 else 'pool'} {pools or 'none'} of gateway {way.gateway}"


def _served(way: Way) -> Mapping[str, int]:
    return way.served


def _every_pool(way: Way) -> Mapping[str, int]:
    return way.every_pool


def _empty(runtime: Pool, *, force: bool) -> int:
    """Take all servers out of a pool that have no session, or all; returns the sessions that are left."""
    workers = runtime.processes()
    servers = workers[0].servers
    runtime.drain_servers([server.name for server in servers])
    idle = [s.name for s in servers if force or not s.sessions]
    for name in idle:
        # One that got a session meanwhile has one more chance to end it.
        with suppress(ProxyError):
            runtime.delete_servers([name], force=force)
    return 0 if force else sum(s.sessions for worker in workers for s in worker.servers)


def _checked(make: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    try:
        return make(*arguments, **named)
    except ValueError as error:
        raise PermanentError(f"HAProxy cannot be configured for this: {error}") from error
