"""Gateways, routes and certificates as series: one for each route and host, and none twice."""

from __future__ import annotations

from datetime import timedelta

from metrics.collector import StateCollector
from metrics.gateways import CertificateSnapshot, GatewaySnapshot, RouteSnapshot
from tests.metrics.test_collector import NOW, series

MAIN = GatewaySnapshot(
    name="vaultgateway/main",
    conditions={"Ready": "True"},
    routes=(
        RouteSnapshot("a.test", "/", "files.0", "files"),
        RouteSnapshot("b.test", "/", "files.0", "files"),
        RouteSnapshot("", "port 2222", "git.tcp0", "git"),
        RouteSnapshot("", "port 2222", "git.tcp0", "git"),
    ),
    refused=2,
    spare_pools={"http": 60, "tcp": 0},
    certificates=(
        CertificateSnapshot("a.test", NOW - timedelta(days=1), NOW + timedelta(days=1)),
        CertificateSnapshot("b.test", failures=3, failed_at=NOW),
        CertificateSnapshot("old.test", NOW - timedelta(days=2), NOW),
    ),
)


def found(*gateways: GatewaySnapshot) -> dict[str, float]:
    state = StateCollector(
        version="1", python="3", now=lambda: NOW, services=tuple, queues=tuple, gateways=lambda: gateways
    )
    return {
        name: value
        for name, value in series(state).items()
        if name.startswith(("vault_gateway", "vault_route", "vault_certificate"))
    }


def test_a_gateway_is_these_series() -> None:
    name = "vaultgateway/main"
    assert found(MAIN) == {
        f"vault_gateway_suspended{{{name}}}": 0,
        f"vault_gateway_condition{{{name},Ready,true}}": 1,
        f"vault_gateway_condition{{{name},Ready,false}}": 0,
        f"vault_gateway_condition{{{name},Ready,unknown}}": 0,
        f"vault_gateway_routes{{{name},served}}": 2,
        f"vault_gateway_routes{{{name},refused}}": 2,
        f"vault_gateway_spare_pools{{{name},http}}": 60,
        f"vault_gateway_spare_pools{{{name},tcp}}": 0,
        f"vault_route_info{{{name},files.0,files,a.test,/}}": 1,
        f"vault_route_info{{{name},files.0,files,b.test,/}}": 1,
        f"vault_route_info{{{name},git.tcp0,git,,port 2222}}": 1,
        f"vault_certificates{{{name},valid}}": 1,
        f"vault_certificates{{{name},ended}}": 1,
        f"vault_certificates{{{name},missing}}": 1,
        f"vault_certificate_failures{{{name},a.test}}": 0,
        f"vault_certificate_failures{{{name},b.test}}": 3,
        f"vault_certificate_failures{{{name},old.test}}": 0,
        f"vault_certificate_not_before_timestamp_seconds{{{name},a.test}}": (
            NOW - timedelta(days=1)
        ).timestamp(),
        f"vault_certificate_not_after_timestamp_seconds{{{name},a.test}}": (
            NOW + timedelta(days=1)
        ).timestamp(),
        f"vault_certificate_not_before_timestamp_seconds{{{name},old.test}}": (
            NOW - timedelta(days=2)
        ).timestamp(),
        f"vault_certificate_not_after_timestamp_seconds{{{name},old.test}}": NOW.timestamp(),
        f"vault_certificate_last_failure_timestamp_seconds{{{name},b.test}}": NOW.timestamp(),
    }


def test_the_series_of_a_gateway_go_with_it() -> None:
    assert found() == {}
