"""What one service gets of the gateways: the routes that it owns, and why it does not get the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.api.reasons import Reason
from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.core.routes.guards import Closure, LoginFiles, closures
from reconciler.core.routes.table import Refusal, Table

__all__ = ["Grant", "Routed", "routed_of"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A route of the service that owns at least one of its keys in this gateway."""

    gateway: str
    route: Route | TcpRoute


@dataclass(frozen=True, slots=True)
class Routed:
    """What a service without a front door of its own gets of gateways. `ports` are those of the host that they open, and
    `closed` its routes that answer no request.
    """

    grants: tuple[Grant, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    ports: frozenset[int] = frozenset()
    closed: tuple[Closure, ...] = ()

    @property
    def problems(self) -> tuple[tuple[Reason, str], ...]:
        """What a person has to know of its routes: a word for programs and a sentence, for each."""
        return (
            *((Reason(refusal.why.value), refusal.message) for refusal in self.refusals),
            *((closure.why, closure.message) for closure in self.closed),
        )

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateways that serve it, in order of their names."""
        return tuple(sorted({grant.gateway for grant in self.grants}))


def routed_of(
    service: str,
    tables: Mapping[str, Table],
    refusals: Sequence[Refusal],
    ports: Mapping[str, frozenset[int]] | None = None,
    files: LoginFiles = MappingProxyType({}),
) -> Routed:
    """What the service of this name gets of settled routes; see `settle`. `ports` are those of gateways by name, `files`
    the logins that its routes name.
    """
    grants = tuple(_grants(service, tables))
    return Routed(
        grants,
        tuple(refusal for refusal in refusals if refusal.claim.service == service),
        frozenset(port for grant in grants for port in (ports or {}).get(grant.gateway, ())),
        tuple(
            closure
            for _, table in sorted(tables.items())
            for closure in closures(table, files)
            if closure.service == service
        ),
    )


def _grants(service: str, tables: Mapping[str, Table]) -> Iterator[Grant]:
    for gateway, table in sorted(tables.items()):
        routes: dict[str, Route | TcpRoute] = {**table.routes, **table.connections}
        for name, route in routes.items():
            if table.services[name] == service:
                yield Grant(gateway, route)
