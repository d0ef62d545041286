"""When certificates end, by service and in days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metrics.gateways import CertificateSnapshot, GatewaySnapshot, RouteSnapshot
from reconciler.web.ui.ends import days_until, ends_of

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=3, hours=5), NOW + timedelta(days=80)


def test_the_first_end_of_all_hosts_of_a_service_counts() -> None:
    gateways = (
        GatewaySnapshot(
            name="gateway-main",
            routes=(
                RouteSnapshot("a.test", "/", "1", "shop"),
                RouteSnapshot("b.test", "/", "2", "shop"),
                RouteSnapshot("b.test", "/wiki", "3", "wiki"),
                RouteSnapshot("none.test", "/", "4", "plain"),
                RouteSnapshot("unknown.test", "/", "5", "plain"),
            ),
            certificates=(
                CertificateSnapshot("a.test", not_after=SOON),
                CertificateSnapshot("b.test", not_after=LATER),
                CertificateSnapshot("none.test"),
            ),
        ),
        GatewaySnapshot(
            name="gateway-inner",
            routes=(RouteSnapshot("a.test", "/", "6", "wiki"),),
            certificates=(CertificateSnapshot("a.test", not_after=NOW),),
        ),
    )
    assert ends_of(gateways) == {"shop": SOON, "wiki": NOW}


def test_only_whole_days_count() -> None:
    assert days_until(SOON, NOW) == 3
    assert days_until(NOW - timedelta(seconds=1), NOW) == -1
    assert days_until(None, NOW) is None
