"""Which certificates the routes of a gateway want: a pure function of its table and its spec.

A host may be claimed by several services, each with another path, but it has one certificate. The route with the shortest
path that says something about a certificate decides; without one the host follows the rule for routes that say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from reconciler.api.route import Route
from reconciler.api.tls import RouteTLS
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.routes.table import Table

__all__ = ["MAX_NAMES", "Source", "Want", "source_of", "wanted"]

MAX_NAMES: Final = 100
"""Names of one certificate: what Let's Encrypt takes."""


class Source(StrEnum):
    """Where a certificate comes from."""

    ACME = "acme"
    FILES = "files"
    SELF_SIGNED = "self-signed"
    NONE = "none"


@dataclass(frozen=True, slots=True, order=True)
class Want:
    """A certificate for these names (sorted). `route` is the id of the first route that wants it; `chain` and `key` are the
    user's files, or empty.
    """

    source: Source
    names: tuple[str, ...]
    route: str
    chain: str = ""
    key: str = ""


def wanted(table: Table, spec: GatewaySpec) -> tuple[Want, ...]:
    """The certificates that the routes of a gateway want; none without a listener for HTTPS."""
    if not any(listener.protocol == "HTTPS" for listener in spec.listeners):
        return ()
    deciding = dict(_deciding(table))
    sources = {
        host: source_of(table.routes[route].tls, host, has_account=spec.acme is not None)
        for host, route in deciding.items()
    }
    found: list[Want] = []
    for source in (Source.ACME, Source.FILES, Source.SELF_SIGNED):
        hosts = {host: route for host, route in deciding.items() if sources[host] is source}
        by = spec.acme.certificates if spec.acme and source is Source.ACME else "route"
        for names in _groups(hosts, by):
            route = min(hosts[name] for name in names)
            files = table.routes[route].tls.files if source is Source.FILES else None
            found.append(Want(source, names, route, files.chain if files else "", files.key if files else ""))
    return tuple(sorted(found))


def source_of(tls: RouteTLS, host: str, *, has_account: bool) -> Source:
    """Where the certificate of a host comes from, by what its route says."""
    if tls.certificate is not None:
        return Source(tls.certificate)
    if tls.files is not None:
        return Source.FILES
    if host.rpartition(".")[2] in ("localhost", "test"):
        return Source.SELF_SIGNED
    return Source.ACME if has_account else Source.NONE


def _deciding(table: Table) -> Iterator[tuple[str, str]]:
    """The route that decides on the certificate of each host."""
    keys = sorted(table.http.items(), key=lambda item: (item[0].host, len(item[0].prefix), item[0].prefix))
    for host, entries in groupby(keys, key=lambda item: item[0].host):
        routes = [route for _, route in entries]
        yield host, next((route for route in routes if _says_something(table.routes[route])), routes[0])


def _says_something(route: Route) -> bool:
    return route.tls.certificate is not None or route.tls.files is not None


def _groups(hosts: Mapping[str, str], by: str) -> Iterator[tuple[str, ...]]:
    if by == "name":
        yield from ((host,) for host in hosts)
    elif by == "gateway":
        yield from _batches(hosts)
    else:
        for _, entries in groupby(sorted(hosts.items(), key=lambda item: item[1]), key=lambda item: item[1]):
            yield from _batches(host for host, _ in entries)


def _batches(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The names in order, in parts that fit into a certificate."""
    ordered = sorted(names)
    yield from (tuple(ordered[start : start + MAX_NAMES]) for start in range(0, len(ordered), MAX_NAMES))
