"""The maps of a gateway: what its configuration looks up for each request.

`routes` gives the route, its pool and its *flags*; each flag is a letter that stands for one look-up more, so that a plain
route costs a single one. Every text is typed or encoded: no key or value has white space.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from reconciler.api.addresses import Network, network_of
from reconciler.api.protection import ForwardAuth
from reconciler.api.route import Headers, Redirect, Route
from reconciler.api.tls import Hsts
from reconciler.core.routes.claims import prefix_of
from reconciler.core.routes.guards import answering, identities
from reconciler.core.routes.logins import Logins
from reconciler.core.routes.table import Table
from reconciler.proxy.haproxy.gateway.pool_file import PoolSettings
from reconciler.proxy.haproxy.values import check_host, check_path

__all__ = [
    "MAPS",
    "Maps",
    "entries_of",
    "flags_of",
    "led_by",
    "maps_of",
    "moves_between",
    "settings_maps",
    "text_of",
]

Maps = Mapping[str, Mapping[str, str]]
"""The entries of each map, by the name of the map."""

MAPS: Final = (
    "routes",
    "redirects",
    "networks",
    "allowed",
    "rates",
    "cors",
    "origins",
    "max-body",
    "timeout-response",
    "timeout-tunnel",
    "headers",
    "tcp",
    "hold",
    "check-path",
    "check-host",
    "trusted",
    "acme",
    "hsts",
    "users",
    "realms",
    "forward",
    "identity",
)
"""All maps that the configuration names; `routes` and `tcp` are those that lead to the others."""

LEADING: Final = ("routes", "tcp")
"""The maps that lead to the others."""

SEPARATOR: Final = "|"
UNSET: Final = "~"

_PLAIN: Final = "!$&'()*+-./:;=?@[]^_`{|}~"
"""Characters of a header's value that are not encoded in the map: all that headers.lua takes for nothing else."""

_EVERY_NETWORK: Final = (network_of("0.0.0.0/0"), network_of("::/0"))
"""Always in the map of networks: without an own entry, HAProxy looks an IPv4 client up among the IPv6 networks."""


def led_by(maps: Maps) -> frozenset[str]:
    """The pools that routes lead to by these maps."""
    return frozenset(_pool_in(target) for name in LEADING for target in maps.get(name, {}).values())


def moves_between(before: Maps, after: Maps) -> frozenset[tuple[str, str]]:
    """The pools, the former and the next one, of what is led to another pool of the same service afterwards."""
    pairs = (
        (target, after[name][key])
        for name in LEADING
        for key, target in before.get(name, {}).items()
        if key in after.get(name, {})
    )
    return frozenset(
        (_pool_in(former), _pool_in(target))
        for former, target in pairs
        if _service_in(former) == _service_in(target)
        and _pool_in(former) != _pool_in(target)
        and UNSET not in (_pool_in(former), _pool_in(target))
    )


def _service_in(target: str) -> str:
    return target.split(SEPARATOR)[0].rpartition(".")[0]


def _pool_in(target: str) -> str:
    return target.split(SEPARATOR)[1]


def maps_of(
    table: Table,
    pools: Mapping[str, str],
    settings: Mapping[str, PoolSettings],
    trusted: Iterable[str] = (),
    answers: Mapping[str, str] = MappingProxyType({}),
    secured: Container[str] = frozenset(),
    logins: Mapping[str, Logins] = MappingProxyType({}),
) -> Maps:
    """The maps for the routes of a table.

    `pools` are the pools of routes by the routes' ids: a route without one is not served yet. `settings` are those of
    pools by name, `trusted` the networks of trusted proxies, `answers` those to an ACME server by path. `secured` are
    the hosts whose certificate is served and valid: only those are redirected to https. `logins` are those of routes by
    the routes' ids: one with `auth.basic` and none is closed.
    """
    routes = {name: route for name, route in table.routes.items() if name in pools or route.redirect}
    networks = {
        name: [network_of(each) for each in allowed]
        for name, allowed in (
            *((name, route.allow_from) for name, route in routes.items()),
            *((name, tcp.allow_from) for name, tcp in table.connections.items() if name in pools),
        )
    }
    identity = identities(table)
    forward = {
        name: asked
        for name, route in routes.items()
        if route.auth and route.auth.forward and (asked := _asked(route.auth.forward, table, pools))
    }
    return {
        "routes": {
            f"{key.host}{key.prefix}": _target(
                name,
                pools.get(name),
                flags_of(
                    routes[name],
                    is_secured=key.host in secured,
                    is_guarded=name in logins or name in forward,
                    is_believed=name in identity,
                    is_stopped=name in table.stopped,
                ),
                _cut(routes[name]),
            )
            for key, name in table.http.items()
            if name in routes
        },
        "redirects": {name: _redirect(route.redirect) for name, route in routes.items() if route.redirect},
        "networks": _networks(networks.values()),
        "allowed": dict(_allowed(networks)),
        "rates": {
            name: f"{route.rate_limit.seconds}{SEPARATOR}{route.rate_limit.requests}"
            for name, route in routes.items()
            if route.rate_limit
        },
        "cors": {name: _cors(route) for name, route in routes.items() if route.cors},
        "origins": {
            f"{name}{SEPARATOR}{origin}": "1"
            for name, route in routes.items()
            if route.cors
            for origin in route.cors.origins
        },
        "max-body": {name: str(route.max_body_size) for name, route in routes.items() if route.max_body_size},
        "timeout-response": {
            name: _ms(route.timeouts.response) for name, route in routes.items() if route.timeouts.response
        },
        "timeout-tunnel": {
            name: _ms(route.timeouts.tunnel) for name, route in routes.items() if route.timeouts.tunnel
        },
        "headers": {
            name: value for name, route in routes.items() if (value := ",".join(_headers(route.headers)))
        },
        "tcp": {
            f"{key.port}{SEPARATOR}{key.host}": _target(
                name,
                pools[name],
                ("A" if table.connections[name].allow_from else "") + ("N" if name in table.stopped else ""),
            )
            for key, name in table.tcp.items()
            if name in pools
        },
        **settings_maps(settings),
        "trusted": {str(network): "1" for network in sorted(map(network_of, trusted), key=str)},
        "acme": dict(answers),
        "hsts": {name: _hsts(route.tls.hsts) for name, route in routes.items() if route.tls.hsts},
        "users": {
            key: value
            for name, each in logins.items()
            if name in routes
            for key, value in _users(name, each).items()
        },
        "realms": {
            name: quote(route.auth.basic.realm, safe="")
            for name, route in routes.items()
            if route.auth and route.auth.basic
        },
        "forward": forward,
        "identity": {name: ",".join(identity[name]) for name in routes if name in identity},
    }


def settings_maps(settings: Mapping[str, PoolSettings]) -> Maps:
    """The maps that say the settings of pools, which are given by name. Raises ValueError."""
    return {
        "hold": {pool: _ms(each.hold_seconds) for pool, each in settings.items()},
        "check-path": {pool: check_path(each.health.path) for pool, each in settings.items()},
        "check-host": {pool: check_host(each.health.host) for pool, each in settings.items()},
    }


def flags_of(
    route: Route,
    *,
    is_secured: bool = False,
    is_guarded: bool = False,
    is_believed: bool = False,
    is_stopped: bool = False,
) -> str:
    """The letters of the rules that apply to a route, for a host that has a certificate or not, and a service that runs or
    not; see http.cfg.template.

    `is_guarded`: what its `auth` needs is there. `is_believed`: its service takes a user from headers.
    """
    tls = route.tls if is_secured and route.tls.certificate != "none" else None
    letters = {
        "A": bool(route.allow_from),
        "B": is_guarded and route.auth is not None and route.auth.basic is not None,
        "C": route.cors is not None,
        # Never open: what cannot be checked is refused.
        "D": not is_guarded and route.auth is not None,
        "F": is_guarded and route.auth is not None and route.auth.forward is not None,
        "H": any(_headers(route.headers)),
        "I": is_believed,
        "L": route.rate_limit is not None,
        "M": route.maintenance,
        "N": is_stopped,
        "P": route.strip_path,
        "R": route.redirect is not None,
        "S": tls is not None and tls.redirect,
        "T": route.timeouts.response is not None or route.timeouts.tunnel is not None,
        "X": route.max_body_size is not None,
        "Y": tls is not None and tls.hsts is not None,
    }
    return "".join(letter for letter, holds in letters.items() if holds)


def text_of(entries: Mapping[str, str]) -> str:
    """A map as HAProxy reads it from a file. Raises ValueError for what would be more than an entry."""
    return "".join(f"{line}\n" for line in lines_of(entries))


def lines_of(entries: Mapping[str, str]) -> tuple[str, ...]:
    """The lines of a map, in order of keys."""
    for text in (text for entry in entries.items() for text in entry):
        if not text or text.startswith("#") or not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError(f"map entry: {text!r} cannot be written into a map of HAProxy")
    return tuple(f"{key} {value}" for key, value in sorted(entries.items()))


def entries_of(text: str) -> dict[str, str] | None:
    """The entries of a map's file; None when it is not one that was written from entries."""
    pairs = [line.partition(" ") for line in text.splitlines()]
    entries = {key: value for key, _, value in pairs}
    try:
        return entries if text_of(entries) == text else None
    except ValueError:
        return None


def _target(route: str, pool: str | None, flags: str, *more: str) -> str:
    return SEPARATOR.join((route, pool or UNSET, flags or UNSET, *more))


def _cut(route: Route) -> str:
    """The characters of the path that are stripped. Not in a map of its own: another path changes both at once."""
    return str(len(prefix_of(route.path)) if route.strip_path else 0)


def _redirect(redirect: Redirect) -> str:
    parts = (redirect.scheme, redirect.hostname, redirect.path)
    return SEPARATOR.join((str(redirect.status), *(part or UNSET for part in parts)))


def _networks(lists: Iterable[Iterable[Network]]) -> dict[str, str]:
    every = {*_EVERY_NETWORK, *(network for networks in lists for network in networks)}
    return {str(network): str(network) for network in sorted(every, key=str)}


def _allowed(lists: Mapping[str, list[Network]]) -> Iterator[tuple[str, str]]:
    """For each route the networks of the whole gateway that lie in one of its own: a client is looked up by the smallest
    network that it is in, whichever route that belongs to.
    """
    every = [network_of(text) for text in _networks(lists.values())]
    for route, networks in lists.items():
        for network in every:
            if any(_lies_in(network, other) for other in networks):
                yield f"{route}{SEPARATOR}{network}", "1"


def _lies_in(network: Network, other: Network) -> bool:
    return (
        network.version == other.version
        and network.network_address in other
        and network.prefixlen >= other.prefixlen
    )


def _cors(route: Route) -> str:
    cors = route.cors
    assert cors is not None
    return SEPARATOR.join(
        (
            ",".join(cors.methods),
            ",".join(cors.headers) or UNSET,
            ",".join(cors.expose) or UNSET,
            str(round(cors.max_age)),
            "true" if cors.credentials else UNSET,
        )
    )


def _users(route: str, logins: Logins) -> dict[str, str]:
    """The hash of each name, by the name's digest: a name may have any characters. That of no name is for unknown ones."""
    hashes = {sha256(name.encode()).hexdigest(): hashed for name, hashed in logins.hashes.items()}
    return {f"{route}{SEPARATOR}{key}": each for key, each in ({"": logins.decoy} | hashes).items()}


def _asked(forward: ForwardAuth, table: Table, pools: Mapping[str, str]) -> str:
    """What is asked for a route: pool, milliseconds, host, path or address, and the headers that are handed on; empty for a
    service without a pool.
    """
    pool, host, address = UNSET, UNSET, forward.url or forward.path
    if forward.service is not None:
        route = answering(table, forward.service)
        if route is None or route not in pools:
            return ""
        names = table.routes[route].hostnames
        pool, host = pools[route], next((name for name in names if "*" not in name), forward.service)
    return SEPARATOR.join((pool, _ms(forward.timeout), host, address, ",".join(forward.response_headers)))


def _hsts(hsts: Hsts) -> str:
    parts = (
        f"max-age={round(hsts.max_age)}",
        "includeSubDomains" * hsts.include_subdomains,
        "preload" * hsts.preload,
    )
    return ";".join(part for part in parts if part)


def _headers(headers: Headers) -> Iterator[str]:
    for direction, changes in ((">", headers.request), ("<", headers.response)):
        yield from (f"{direction}{name}" for name in changes.remove)
        yield from (
            f"{direction}{name}:{quote(value, safe=_PLAIN)}" for name, value in sorted(changes.set.items())
        )


def _ms(seconds: float | None) -> str:
    return str(round((seconds or 0.0) * 1000))
