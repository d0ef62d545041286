"""Settles the claims of all services on all gateways: each key has one owner, and each other claim a reason.

The rules are those of the Gateway API: of two claims on the same key the older service keeps it, and a refused claim
takes nothing from the other claims of its route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.api.reasons import Reason
from reconciler.core.routes.claims import Claim, Claimant, HttpKey, TcpKey, claims_of

if TYPE_CHECKING:
    from reconciler.api.route import Route
    from reconciler.api.tcp import TcpRoute
    from reconciler.api.vaultgateway import GatewaySpec

__all__ = ["Refusal", "Refused", "Table", "settle"]

Permit = Callable[[str, str], bool]
"""Whether a service (its name) may claim a host name."""


class Refused(StrEnum):
    """Why a claim is refused."""

    CONFLICTED = Reason.CONFLICTED.value
    NO_GATEWAY = Reason.NO_GATEWAY.value
    GATEWAY_NOT_NAMED = Reason.GATEWAY_NOT_NAMED.value
    NO_LISTENER = Reason.NO_LISTENER.value
    NOT_PERMITTED = Reason.HOSTNAME_NOT_PERMITTED.value


@dataclass(frozen=True, slots=True)
class Refusal:
    """A claim that is not met: why, and a sentence that says what to do."""

    claim: Claim
    why: Refused
    message: str


@dataclass(frozen=True, slots=True)
class Table:
    """The routes of one gateway. `http` and `tcp` give the route of a key by its id; `routes` and `connections` are those
    that own at least one key, by id, and `services` the names of their services; `stopped` those of stopped services.
    """

    gateway: str
    http: Mapping[HttpKey, str] = field(default_factory=dict)
    tcp: Mapping[TcpKey, str] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    connections: Mapping[str, TcpRoute] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()


def settle(
    gateways: Mapping[str, GatewaySpec],
    claimants: Iterable[Claimant],
    permits: Permit = lambda service, host: True,
) -> tuple[Mapping[str, Table], tuple[Refusal, ...]]:
    """The table of each gateway, and the claims that are refused, in order of service and route.

    `gateways` are the specs of all gateways by name.
    """
    services = sorted(claimants, key=lambda claimant: claimant.name)
    owners: dict[tuple[str, HttpKey | TcpKey], Claim] = {}
    refusals: list[Refusal] = []
    for claim in sorted(claims_of(services), key=lambda claim: claim.seniority):
        # First of all: what the operator refuses depends on no gateway.
        if (refusal := _not_permitted(claim, permits)) is None:
            gateway, refusal = _gateway_of(claim, gateways)
        if refusal is None:
            refusal = _no_listener(claim, gateway, gateways[gateway])
        if refusal is None:
            owner = owners.setdefault((gateway, claim.key), claim)
            refusal = _conflict(claim, owner, gateway) if owner is not claim else None
        if refusal is not None:
            refusals.append(refusal)
    tables = {name: _table(name, services, owners) for name in sorted(gateways)}
    return tables, tuple(
        sorted(refusals, key=lambda each: (each.claim.service, each.claim.index, each.claim.key.host))
    )


def _table(
    gateway: str, services: Iterable[Claimant], owners: Mapping[tuple[str, HttpKey | TcpKey], Claim]
) -> Table:
    mine = {key: claim for (where, key), claim in owners.items() if where == gateway}
    owning = {claim.route: claim for claim in mine.values()}
    by_name = {claimant.name: claimant for claimant in services}
    return Table(
        gateway=gateway,
        http=dict(sorted((key, claim.route) for key, claim in mine.items() if isinstance(key, HttpKey))),
        tcp=dict(sorted((key, claim.route) for key, claim in mine.items() if isinstance(key, TcpKey))),
        routes={
            route: by_name[claim.service].routes[claim.index]
            for route, claim in sorted(owning.items())
            if isinstance(claim.key, HttpKey)
        },
        connections={
            route: by_name[claim.service].tcp[claim.index]
            for route, claim in sorted(owning.items())
            if isinstance(claim.key, TcpKey)
        },
        services={route: claim.service for route, claim in sorted(owning.items())},
        stopped=frozenset(route for route, claim in owning.items() if by_name[claim.service].is_stopped),
    )


def _gateway_of(claim: Claim, gateways: Mapping[str, GatewaySpec]) -> tuple[str, Refusal | None]:
    if claim.gateway is None:
        if len(gateways) == 1:
            return next(iter(gateways)), None
        if not gateways:
            return "", Refusal(claim, Refused.NO_GATEWAY, "there is no VaultGateway; apply one")
        names = ", ".join(sorted(gateways))
        message = f"there are {len(gateways)} gateways ({names}); name one in the route's gateway"
        return "", Refusal(claim, Refused.GATEWAY_NOT_NAMED, message)
    if claim.gateway not in gateways:
        message = f"there is no VaultGateway {claim.gateway}; apply it, or name another one"
        return "", Refusal(claim, Refused.NO_GATEWAY, message)
    return claim.gateway, None


def _not_permitted(claim: Claim, permits: Permit) -> Refusal | None:
    host = claim.key.host
    if not host or permits(claim.service, host):
        return None
    message = (
        f"the operator does not let {claim.service} claim {host}; have vaultctl run with --allow-hostnames "
        f"'{host}', or claim another name"
    )
    return Refusal(claim, Refused.NOT_PERMITTED, message)


def _no_listener(claim: Claim, gateway: str, spec: GatewaySpec) -> Refusal | None:
    if isinstance(claim.key, HttpKey):
        if any(listener.is_http for listener in spec.listeners):
            return None
        message = f"gateway {gateway} has no HTTP or HTTPS listener; add one to its spec.listeners"
        return Refusal(claim, Refused.NO_LISTENER, message)
    wanted = "TLS" if claim.key.host else "TCP"
    for listener in spec.listeners:
        if listener.port == claim.key.port and not listener.is_http:
            if listener.protocol == "TLS" or not claim.key.host:
                return None
            message = (
                f"listener {listener.name} of gateway {gateway} is TCP, so it learns no name; make it TLS"
            )
            return Refusal(claim, Refused.NO_LISTENER, message)
    message = (
        f"gateway {gateway} has no {wanted} listener on port {claim.key.port}; add "
        f"{{port: {claim.key.port}, protocol: {wanted}}} to its spec.listeners"
    )
    return Refusal(claim, Refused.NO_LISTENER, message)


def _conflict(claim: Claim, owner: Claim, gateway: str) -> Refusal:
    if owner.service == claim.service:
        message = f"{claim.key} is already claimed by route {owner.index} of the same service"
    else:
        message = f"{claim.key} of gateway {gateway} belongs to {owner.service}, which is older; claim another host or path"
    return Refusal(claim, Refused.CONFLICTED, message)
