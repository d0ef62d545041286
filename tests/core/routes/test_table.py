"""Claims of services become tables of gateways: the older service keeps a key, and each refusal says what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.routes.claims import Claimant, HttpKey, TcpKey, claims_of
from reconciler.core.routes.table import Refused, settle

START = datetime(2026, 5, 1, tzinfo=UTC)
LISTENERS = (
    Listener(name="http", port=80, protocol="HTTP"),
    Listener(name="ssh", port=2222, protocol="TCP"),
    Listener(name="db", port=5432, protocol="TLS"),
)
MAIN = {"main": GatewaySpec(listeners=LISTENERS)}


def service(name: str, *routes: Route | TcpRoute, age: int = 0) -> Claimant:
    return Claimant(
        name,
        START - timedelta(days=age),
        routes=tuple(each for each in routes if isinstance(each, Route)),
        tcp=tuple(each for each in routes if isinstance(each, TcpRoute)),
    )


def route(*hostnames: str, path: str = "/", **more: Any) -> Route:
    return Route(hostnames=hostnames, path=path, **more)


def test_each_host_and_path_has_the_route_that_claims_it() -> None:
    tables, refusals = settle(
        MAIN,
        [
            service("files", route("files.test", "*.files.test"), route("files.test", path="/api/")),
            service(
                "git",
                TcpRoute(port=2222, target=22),
                TcpRoute(port=5432, target=5432, hostnames=("db.test",)),
            ),
        ],
    )

    table = tables["main"]
    assert refusals == ()
    assert table.http == {
        HttpKey("*.files.test", "/"): "files.0",
        HttpKey("files.test", "/"): "files.0",
        HttpKey("files.test", "/api/"): "files.1",
    }
    assert table.tcp == {TcpKey(2222, ""): "git.tcp0", TcpKey(5432, "db.test"): "git.tcp1"}
    assert table.services == {"files.0": "files", "files.1": "files", "git.tcp0": "git", "git.tcp1": "git"}
    assert table.routes["files.1"].path == "/api/"
    assert table.connections["git.tcp1"].target == 5432


def test_the_older_service_keeps_a_host_and_path_and_the_newer_one_keeps_its_others() -> None:
    old = service("zoo", route("a.test"), age=9)
    new = service("app", route("a.test", "b.test"), age=1)

    tables, (refusal,) = settle(MAIN, [new, old])

    assert tables["main"].http == {HttpKey("a.test", "/"): "zoo.0", HttpKey("b.test", "/"): "app.0"}
    assert (refusal.claim.service, refusal.claim.key, refusal.why) == (
        "app",
        HttpKey("a.test", "/"),
        Refused.CONFLICTED,
    )
    assert (
        refusal.message
        == "a.test/ of gateway main belongs to zoo, which is older; claim another host or path"
    )


def test_of_two_services_of_one_age_the_first_name_wins() -> None:
    tables, _ = settle(MAIN, [service("b", route("a.test")), service("a", route("a.test"))])

    assert tables["main"].http == {HttpKey("a.test", "/"): "a.0"}


def test_a_slash_at_the_end_of_a_path_makes_no_other_path() -> None:
    _, (refusal,) = settle(
        MAIN, [service("a", route("a.test", path="/x"), age=1), service("b", route("a.test", path="/x/"))]
    )

    assert refusal.claim.service == "b"


@pytest.mark.parametrize(
    ("gateways", "claim", "why", "message"),
    [
        ({}, route("a.test"), Refused.NO_GATEWAY, "there is no VaultGateway; apply one"),
        (
            MAIN,
            route("a.test", gateway="edge"),
            Refused.NO_GATEWAY,
            "there is no VaultGateway edge; apply it, or name another one",
        ),
        (
            {"b": GatewaySpec(), "a": GatewaySpec()},
            route("a.test"),
            Refused.GATEWAY_NOT_NAMED,
            "there are 2 gateways (a, b); name one in the route's gateway",
        ),
        (
            {"main": GatewaySpec(listeners=(LISTENERS[1],))},
            route("a.test"),
            Refused.NO_LISTENER,
            "gateway main has no HTTP or HTTPS listener; add one to its spec.listeners",
        ),
        (
            MAIN,
            TcpRoute(port=1883, target=1883),
            Refused.NO_LISTENER,
            "gateway main has no TCP listener on port 1883; add {port: 1883, protocol: TCP} to its spec.listeners",
        ),
        (
            MAIN,
            TcpRoute(port=2222, target=22, hostnames=("a.test",)),
            Refused.NO_LISTENER,
            "listener ssh of gateway main is TCP, so it learns no name; make it TLS",
        ),
        (
            MAIN,
            TcpRoute(port=80, target=80),
            Refused.NO_LISTENER,
            "gateway main has no TCP listener on port 80; add {port: 80, protocol: TCP} to its spec.listeners",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    gateways: dict[str, GatewaySpec], claim: Route | TcpRoute, why: Refused, message: str
) -> None:
    tables, (refusal,) = settle(gateways, [service("files", claim)])

    assert (refusal.why, refusal.message) == (why, message)
    assert not any(table.http or table.tcp for table in tables.values())


def test_a_tls_listener_may_have_a_service_for_all_other_names() -> None:
    tables, refusals = settle(
        MAIN,
        [
            service("one", TcpRoute(port=5432, target=5432, hostnames=("one.test",))),
            service("rest", TcpRoute(port=5432, target=5432)),
        ],
    )

    assert not refusals
    assert tables["main"].tcp == {TcpKey(5432, ""): "rest.tcp0", TcpKey(5432, "one.test"): "one.tcp0"}


def test_only_permitted_hostnames_are_claimed() -> None:
    tables, (refusal,) = settle(
        MAIN,
        [service("files", route("files.test", "bank.test"))],
        permits=lambda service, host: host.startswith(service),
    )

    assert list(tables["main"].http) == [HttpKey("files.test", "/")]
    assert refusal.why is Refused.NOT_PERMITTED
    assert "--allow-hostnames 'bank.test'" in refusal.message


def test_what_is_not_permitted_is_told_also_without_a_gateway() -> None:
    _, (refusal,) = settle({}, [service("files", route("bank.test"))], permits=lambda service, host: False)

    assert refusal.why is Refused.NOT_PERMITTED


hosts = st.sampled_from(["a.test", "b.test", "*.test", "*.a.test"])
routes = st.builds(
    Route,
    hostnames=st.lists(hosts, min_size=1, max_size=3, unique=True).map(tuple),
    path=st.sampled_from(["/", "/x", "/x/", "/x/y"]),
    gateway=st.sampled_from([None, "main", "gone"]),
)
connections = st.builds(
    TcpRoute,
    port=st.sampled_from([80, 2222, 5432]),
    target=st.just(22),
    hostnames=st.lists(hosts, max_size=2, unique=True).map(tuple),
)
services = st.lists(
    st.builds(
        Claimant,
        name=st.sampled_from(["a", "b", "c", "d"]),
        since=st.integers(0, 3).map(lambda days: START + timedelta(days=days)),
        routes=st.lists(routes, max_size=3).map(tuple),
        tcp=st.lists(connections, max_size=2).map(tuple),
    ),
    max_size=4,
    unique_by=lambda claimant: claimant.name,
)


@given(services)
def test_every_claim_is_met_or_refused(claimants: list[Claimant]) -> None:
    tables, refusals = settle(MAIN, claimants)

    met = {(key, owner) for key, owner in (*tables["main"].http.items(), *tables["main"].tcp.items())}
    refused = [(refusal.claim.key, refusal.claim.route) for refusal in refusals]
    claimed = [(claim.key, claim.route) for claim in claims_of(claimants)]
    assert sorted([*met, *refused], key=repr) == sorted(claimed, key=repr)


@given(services, st.randoms(use_true_random=False))
def test_the_order_of_services_does_not_matter(claimants: list[Claimant], random: Any) -> None:
    shuffled = list(claimants)
    random.shuffle(shuffled)

    assert settle(MAIN, shuffled) == settle(MAIN, claimants)


@given(services, st.lists(routes, min_size=1, max_size=3))
def test_a_newer_service_takes_nothing_from_an_older_one(
    claimants: list[Claimant], more: list[Route]
) -> None:
    before = settle(MAIN, claimants)[0]["main"].http
    newest = Claimant("newest", START + timedelta(days=99), routes=tuple(more))

    after = settle(MAIN, [*claimants, newest])[0]["main"].http

    assert {key: after[key] for key in before} == before


@given(services)
def test_a_table_has_the_settings_of_its_routes_and_of_no_others(claimants: list[Claimant]) -> None:
    table = settle(MAIN, claimants)[0]["main"]

    assert set(table.routes) == set(table.http.values())
    assert set(table.connections) == set(table.tcp.values())
    assert set(table.services) == {*table.routes, *table.connections}
