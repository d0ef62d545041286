"""Which certificates the routes of a gateway want."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.acme import Acme
from reconciler.api.route import Route
from reconciler.api.tls import RouteTLS
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.certificates.wanted import MAX_NAMES, Source, Want, source_of, wanted
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import Table, settle

START = datetime(2026, 5, 1, tzinfo=UTC)
FILES = {"chain": "/c.pem", "key": "/k.pem"}


def spec(**acme: Any) -> GatewaySpec:
    account = Acme.model_validate({"accept_terms": True, **acme})
    return GatewaySpec().model_copy(update={"acme": account if acme else None})


def table(*services: list[dict[str, Any]]) -> Table:
    claimants = [
        Claimant(f"s{n}", START + timedelta(hours=n), tuple(Route.model_validate(each) for each in routes))
        for n, routes in enumerate(services)
    ]
    return settle({"main": GatewaySpec()}, claimants)[0]["main"]


@pytest.mark.parametrize(
    ("tls", "host", "has_account", "source"),
    [
        ({}, "app.example.org", True, Source.ACME),
        ({}, "app.example.org", False, Source.NONE),
        ({}, "app.test", True, Source.SELF_SIGNED),
        ({}, "*.app.test", True, Source.SELF_SIGNED),
        ({}, "localhost", False, Source.SELF_SIGNED),
        ({}, "app.localhost", False, Source.SELF_SIGNED),
        ({}, "test.example.org", False, Source.NONE),
        ({}, "contest", False, Source.NONE),
        ({"files": FILES}, "app.test", True, Source.FILES),
        ({"certificate": "self-signed"}, "app.example.org", True, Source.SELF_SIGNED),
        ({"certificate": "acme"}, "app.test", False, Source.ACME),
        ({"certificate": "none"}, "app.test", True, Source.NONE),
    ],
)
def test_where_a_certificate_comes_from(
    tls: dict[str, Any], host: str, has_account: bool, source: Source
) -> None:
    assert source_of(RouteTLS.model_validate(tls), host, has_account=has_account) is source


def test_each_route_has_a_certificate_for_its_hosts() -> None:
    routes = table(
        [{"hostnames": ["www.example.org", "example.org"]}, {"hostnames": ["api.example.org"]}],
        [{"hostnames": ["app.test"]}],
        [{"hostnames": ["mail.example.org"], "tls": {"files": FILES}}],
    )
    assert wanted(routes, spec(certificates="route")) == (
        Want(Source.ACME, ("api.example.org",), "s0.1"),
        Want(Source.ACME, ("example.org", "www.example.org"), "s0.0"),
        Want(Source.FILES, ("mail.example.org",), "s2.0", "/c.pem", "/k.pem"),
        Want(Source.SELF_SIGNED, ("app.test",), "s1.0"),
    )


def test_by_name_and_by_gateway() -> None:
    routes = table([{"hostnames": ["b.org", "a.org"]}], [{"hostnames": ["c.org"]}])
    by_name = wanted(routes, spec(certificates="name"))
    assert [want.names for want in by_name] == [("a.org",), ("b.org",), ("c.org",)]
    assert [want.names for want in wanted(routes, spec(certificates="gateway"))] == [
        ("a.org", "b.org", "c.org")
    ]


def test_a_host_of_several_routes_has_one_certificate() -> None:
    routes = table(
        [{"hostnames": ["a.org"], "path": "/api", "tls": {"certificate": "self-signed"}}],
        [{"hostnames": ["a.org", "b.org"]}],
    )
    assert wanted(routes, spec(certificates="route")) == (
        Want(Source.ACME, ("b.org",), "s1.0"),
        Want(Source.SELF_SIGNED, ("a.org",), "s0.0"),
    )


def test_nothing_is_wanted_without_https() -> None:
    plain = GatewaySpec(listeners=(Listener(name="http", port=80, protocol="HTTP"),))
    assert wanted(table([{"hostnames": ["app.test"]}]), plain) == ()


HOSTS = st.sampled_from([f"{label}.{domain}" for label in "abcde" for domain in ("org", "test")])
ROUTES = st.lists(
    st.fixed_dictionaries(
        {
            "hostnames": st.lists(HOSTS, min_size=1, max_size=4, unique=True),
            "path": st.sampled_from(["/", "/x", "/x/y"]),
            "tls": st.sampled_from([{}, {"certificate": "none"}, {"certificate": "acme"}, {"files": FILES}]),
        }
    ),
    max_size=4,
)


@given(ROUTES, ROUTES, st.sampled_from(["route", "name", "gateway"]), st.booleans())
def test_no_host_is_in_two_certificates(
    one: list[dict[str, Any]], other: list[dict[str, Any]], certificates: str, has_account: bool
) -> None:
    routes = table(one, other)
    found = wanted(routes, spec(certificates=certificates) if has_account else spec())
    hosts = [host for want in found for host in want.names]
    assert len(hosts) == len(set(hosts))
    assert set(hosts) <= {key.host for key in routes.http}
    assert all(want.names == tuple(sorted(want.names)) and len(want.names) <= MAX_NAMES for want in found)
