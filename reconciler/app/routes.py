"""Every route that a service claims, with what became of it: who gets its requests, its certificate, and its state."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.condition_types import find_condition
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE
from reconciler.api.reasons import Reason
from reconciler.app.certificates import Certificate, certificate_document
from reconciler.controller.reconcile.login_files import read_login_files
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.core.routes.claims import HttpKey
from reconciler.core.routes.guards import closures, login_files
from reconciler.store.base import readable

if TYPE_CHECKING:
    from reconciler.api.route import Route
    from reconciler.api.vaultgateway import GatewayStatus
    from reconciler.controller.reconcile.routing import Routing
    from reconciler.core.routes.claims import TcpKey
    from reconciler.core.routes.table import Table
    from reconciler.store.base import Objects

__all__ = ["RouteLine", "route_document", "routes"]

SERVING: Final = Reason.SERVING.value


@dataclass(frozen=True)
class RouteLine:
    """A host and path, or a port, that a service claims. `gateway` is empty when it is not known which one is meant.
    `state` is Serving, or the word of what is in the way, and `message` says more.
    """

    host: str
    path: str
    port: int | None
    service: str
    gateway: str
    route: str
    state: str
    message: str = ""
    certificate: Certificate | None = field(default=None)


def routes(
    objects: Objects[Any, Any],
    routing: Routing,
    certificates: Sequence[Certificate],
    services: Collection[str] = (),
) -> list[RouteLine]:
    """The routes of these services, or of all, by host and path. `certificates` are those of all gateways."""
    by_host = {(each.gateway, each.row.host): each for each in certificates}
    states = _States(objects)
    lines = [
        *(line for table in routing.tables.values() for line in _accepted(table, by_host, states)),
        *_refused(routing),
    ]
    wanted = [line for line in lines if not services or line.service in services]
    return sorted(wanted, key=lambda line: (line.host, line.path, line.port or 0, line.gateway, line.service))


def _accepted(
    table: Table, certificates: Mapping[tuple[str, str], Certificate], states: _States
) -> Iterator[RouteLine]:
    closed = {each.route: each for each in closures(table, read_login_files(login_files(table)))}
    keys: list[tuple[HttpKey | TcpKey, str]] = [*table.http.items(), *table.tcp.items()]
    for key, route in keys:
        service = table.services[route]
        state, message = states.of(table.gateway, service, table.routes.get(route))
        if (closure := closed.get(route)) and state == SERVING and not table.routes[route].redirect:
            state, message = closure.why.value, closure.message
        certificate = certificates.get((table.gateway, key.host)) if isinstance(key, HttpKey) else None
        if state == SERVING and certificate and certificate.row.trouble:
            message = certificate.row.trouble
        yield RouteLine(*_place(key), service, table.gateway, route, state, message, certificate)


def _refused(routing: Routing) -> Iterator[RouteLine]:
    only = next(iter(routing.tables)) if len(routing.tables) == 1 else ""
    for each in routing.refusals:
        claim = each.claim
        gateway = claim.gateway or only
        yield RouteLine(*_place(claim.key), claim.service, gateway, claim.route, each.why.value, each.message)


def _place(key: HttpKey | TcpKey) -> tuple[str, str, int | None]:
    """Host, path and port."""
    if isinstance(key, HttpKey):
        return key.host, key.prefix.rstrip("/") or "/", None
    return key.host, "", key.port


class _States:
    """The states of gateways and services, each looked up once."""

    def __init__(self, objects: Objects[Any, Any]) -> None:
        self._objects = objects
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def of(self, gateway: str, service: str, route: Route | None) -> tuple[str, str]:
        """The state of a route that its gateway has accepted, and more about it."""
        state, message = self._look(VAULT_GATEWAY.name, gateway)
        if state != SERVING:
            return "GatewayNotReady", f"gateway {gateway}: {message}"
        if route and route.maintenance:
            return "Maintenance", "it answers with the maintenance page"
        if route and route.redirect:
            return SERVING, "redirects"
        return self._look(VAULT_SERVICE.name, service)

    def _look(self, kind: str, name: str) -> tuple[str, str]:
        if (kind, name) not in self._known:
            self._known[kind, name] = self._read(kind, name)
        return self._known[kind, name]

    def _read(self, kind: str, name: str) -> tuple[str, str]:
        objects = self._objects.of(VAULT_SERVICE if kind == VAULT_SERVICE.name else VAULT_GATEWAY)
        stored, status = readable(objects, name), objects.status(name)
        if stored is None:
            return Reason.DELETED.value, "was deleted meanwhile"
        summary = summarize(stored, status)
        if summary.verdict is Verdict.READY:
            # Ready is as it is wanted to be: one that is stopped answers nothing, one that is asleep does.
            told = summary.message if summary.reason in (Reason.STOPPED, Reason.IDLE) else ""
            return (summary.reason if summary.reason == Reason.STOPPED else SERVING), told
        # One that is changed, or has a problem, may serve all the time.
        serves = status.replicas.serving > 0 if kind == VAULT_SERVICE.name else _answers(status)
        return (SERVING if serves else summary.reason), f"{summary.reason}: {summary.message}"


def _answers(status: GatewayStatus) -> bool:
    """Whether all HAProxies of a gateway answered at the last look."""
    degraded = find_condition(status.conditions, "Degraded")
    return degraded is not None and degraded.reason != Reason.NOT_ALL_SERVING


def route_document(line: RouteLine) -> dict[str, Any]:
    """The same for programs; `port` is null for requests, `path` empty for connections."""
    return {
        "host": line.host,
        "path": line.path,
        "port": line.port,
        "service": line.service,
        "gateway": line.gateway or None,
        "route": line.route,
        "state": line.state,
        "message": line.message,
        "certificate": certificate_document(line.certificate) if line.certificate else None,
    }
