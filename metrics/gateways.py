"""The metrics of gateways, their routes and certificates: what the controller knows, and what their HAProxies count.

The number of series depends on the number of routes and hosts, never on clients or paths that they ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from metrics.metric import Label, Metric, Type

__all__ = [
    "GATEWAY_METRICS",
    "PROXY_METRICS",
    "CertificateSnapshot",
    "GatewaySnapshot",
    "RouteSnapshot",
    "add_gateway",
]

CONDITION_STATUSES: Final = ("true", "false", "unknown")
ROUTE_STATES: Final = ("served", "refused")
CERTIFICATE_STATES: Final = ("valid", "ended", "missing")
POOL_KINDS: Final = ("http", "sticky", "compressed", "sticky_compressed", "tcp")
CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")

_GATEWAY: Final = Label("name", "`vaultgateway/` and the `metadata.name` of the VaultGateway.")
_ROUTE: Final = Label("route", "Identifier of a route: its service, and its number there.")
_HOST: Final = Label("host", "Host name of a route.")

CONDITION: Final = Metric(
    "vault_gateway_condition",
    Type.GAUGE,
    "1 for the current status of a condition, 0 for the other two.",
    (
        _GATEWAY,
        Label("type", "Type of the condition: `Ready`, `Reconciling`, `Stalled`, `Degraded`."),
        Label("status", "Status of the condition.", CONDITION_STATUSES),
    ),
)
SUSPENDED: Final = Metric(
    "vault_gateway_suspended", Type.GAUGE, "1 while `spec.suspend` is true.", (_GATEWAY,)
)
ROUTES: Final = Metric(
    "vault_gateway_routes",
    Type.GAUGE,
    "Routes that the gateway serves, and claims of services that it refuses.",
    (_GATEWAY, Label("state", "What became of the claim.", ROUTE_STATES)),
)
SPARE_POOLS: Final = Metric(
    "vault_gateway_spare_pools",
    Type.GAUGE,
    "Pools that no service has; a route that needs one of a kind without any waits for a reload.",
    (_GATEWAY, Label("kind", "What the pool is made for.", POOL_KINDS)),
)
ROUTE: Final = Metric(
    "vault_route_info",
    Type.INFO,
    "Always 1; the labels say what a route leads to which service.",
    (
        _GATEWAY,
        _ROUTE,
        Label("service", "`metadata.name` of the VaultService."),
        _HOST,
        Label("path", "Path, or `port` and the number of a TCP port."),
    ),
)
CERTIFICATES: Final = Metric(
    "vault_certificates",
    Type.GAUGE,
    "Hosts that are to have a certificate, by what they have.",
    (
        _GATEWAY,
        Label(
            "state",
            "`valid`: clients accept it; `ended`: it serves, and they refuse it; `missing`: there is none.",
            CERTIFICATE_STATES,
        ),
    ),
)
NOT_BEFORE: Final = Metric(
    "vault_certificate_not_before_timestamp_seconds",
    Type.GAUGE,
    "Unix time from which the certificate of a host is valid; absent without one.",
    (_GATEWAY, _HOST),
    "seconds",
)
NOT_AFTER: Final = Metric(
    "vault_certificate_not_after_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the certificate of a host ends; absent without one.",
    (_GATEWAY, _HOST),
    "seconds",
)
FAILURES: Final = Metric(
    "vault_certificate_failures",
    Type.GAUGE,
    "Attempts in a row to get a certificate by ACME that failed; 0 after one that succeeded.",
    (_GATEWAY, _HOST),
)
LAST_FAILURE: Final = Metric(
    "vault_certificate_last_failure_timestamp_seconds",
    Type.GAUGE,
    "Unix time of the last of these failures; absent without one.",
    (_GATEWAY, _HOST),
    "seconds",
)

GATEWAY_METRICS: Final = (
    *(CONDITION, SUSPENDED, ROUTES, SPARE_POOLS, ROUTE),
    *(CERTIFICATES, NOT_BEFORE, NOT_AFTER, FAILURES, LAST_FAILURE),
)
"""Those that the controller exports."""

ROUTE_REQUESTS: Final = Metric(
    "vault_route_requests_total",
    Type.COUNTER,
    "Answers to the requests of a route, by the class of their status.",
    (_ROUTE, Label("class", "Class of the status; `2xx` has upgraded connections (101) as well.", CLASSES)),
)
ROUTE_RESPONSES: Final = Metric(
    "vault_route_responses_total", Type.COUNTER, "Answers that a replica gave, not HAProxy itself.", (_ROUTE,)
)
ROUTE_RESPONSE_SECONDS: Final = Metric(
    "vault_route_response_seconds_total",
    Type.COUNTER,
    "Time that replicas took until the headers of these answers, all together.",
    (_ROUTE,),
    "seconds",
)
ROUTE_BYTES: Final = Metric(
    "vault_route_bytes_total",
    Type.COUNTER,
    "Bytes that clients of a route sent and received.",
    (_ROUTE, Label("direction", "As the gateway sees it.", ("in", "out"))),
)
ROUTE_ACTIVE: Final = Metric(
    "vault_route_active_requests",
    Type.GAUGE,
    "Requests and upgraded connections of a route that are under way.",
    (_ROUTE,),
)

PROXY_METRICS: Final = (ROUTE_REQUESTS, ROUTE_RESPONSES, ROUTE_RESPONSE_SECONDS, ROUTE_BYTES, ROUTE_ACTIVE)
"""Those that HAProxy serves under `/holds`."""


@dataclass(frozen=True, slots=True, order=True)
class RouteSnapshot:
    """A host and path, or a port, that a route owns; `path` is `port 2222` for a port."""

    host: str
    path: str
    route: str
    service: str


@dataclass(frozen=True, slots=True)
class CertificateSnapshot:
    """The certificate of a host; times are None without one, `failed_at` without a failure since the last success."""

    host: str
    not_before: datetime | None = None
    not_after: datetime | None = None
    failures: int = 0
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySnapshot:
    """One VaultGateway as it was last observed; `name` is its label, `conditions` maps a type to "True", "False" or
    "Unknown".
    """

    name: str
    suspended: bool = False
    conditions: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[RouteSnapshot, ...] = ()
    refused: int = 0
    spare_pools: Mapping[str, int] = field(default_factory=dict)
    certificates: tuple[CertificateSnapshot, ...] = ()


Setter = Callable[..., None]
"""Takes a metric, a value and the values of its labels."""


def add_gateway(put: Setter, gateway: GatewaySnapshot, now: datetime) -> None:
    """Put the values of a gateway."""
    name = gateway.name
    put(SUSPENDED, gateway.suspended, name)
    for type_, actual in gateway.conditions.items():
        for status in CONDITION_STATUSES:
            put(CONDITION, status == actual.lower(), name, type_, status)
    put(ROUTES, len({each.route for each in gateway.routes}), name, "served")
    put(ROUTES, gateway.refused, name, "refused")
    for kind, count in gateway.spare_pools.items():
        put(SPARE_POOLS, count, name, kind)
    for each in set(gateway.routes):
        put(ROUTE, 1, name, each.route, each.service, each.host, each.path)
    certificates = {each.host: each for each in gateway.certificates}.values()
    states = [_state(each, now) for each in certificates]
    for state in CERTIFICATE_STATES:
        put(CERTIFICATES, states.count(state), name, state)
    for certificate in certificates:
        _add_certificate(put, name, certificate)


def _add_certificate(put: Setter, name: str, certificate: CertificateSnapshot) -> None:
    put(FAILURES, certificate.failures, name, certificate.host)
    times = {
        NOT_BEFORE: certificate.not_before,
        NOT_AFTER: certificate.not_after,
        LAST_FAILURE: certificate.failed_at,
    }
    for metric, time in times.items():
        if time is not None:
            put(metric, time.timestamp(), name, certificate.host)


def _state(certificate: CertificateSnapshot, now: datetime) -> str:
    if certificate.not_after is None:
        return "missing"
    return "valid" if certificate.not_after > now else "ended"
