"""The maps of a table: what each setting of a route becomes, and that no entry is more than an entry."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.desired.stack import Probe
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import Table, settle
from reconciler.proxy.haproxy.gateway.maps import MAPS, flags_of, lines_of, maps_of, text_of
from reconciler.proxy.haproxy.gateway.pool_file import PoolSettings

SPEC = GatewaySpec(
    listeners=(
        Listener(name="http", port=80, protocol="HTTP"),
        Listener(name="ssh", port=2222, protocol="TCP"),
        Listener(name="db", port=5432, protocol="TLS"),
    )
)


def table(*routes: dict[str, Any], tcp: tuple[TcpRoute, ...] = ()) -> Table:
    models = [
        Route.model_validate({"hostnames": [f"r{index}.test"], **fields}, by_alias=True)
        for index, fields in enumerate(routes)
    ]
    tables, refusals = settle(
        {"main": SPEC}, [Claimant("s", datetime(2026, 5, 1, tzinfo=UTC), tuple(models), tcp)]
    )
    assert not refusals
    return tables["main"]


def maps(*routes: dict[str, Any], tcp: tuple[TcpRoute, ...] = ()) -> dict[str, dict[str, str]]:
    made = table(*routes, tcp=tcp)
    pools = dict.fromkeys(made.routes, "h001") | dict.fromkeys(made.connections, "t001")
    return {name: dict(entries) for name, entries in maps_of(made, pools, {}).items()}


def test_every_map_is_there_and_no_other() -> None:
    assert tuple(maps()) == MAPS


def test_a_plain_route_is_one_entry() -> None:
    made = maps({"path": "/api"})

    assert made.pop("routes") == {"r0.test/api/": "s.0|h001|~|0"}
    assert made.pop("networks")
    assert not any(made.values())


@pytest.mark.parametrize(
    ("fields", "flag", "name", "entries"),
    [
        ({"path": "/api", "stripPath": True}, "P", "routes", {"r0.test/api/": "s.0|h001|P|5"}),
        ({"redirect": {"hostname": "b.test", "status": 301}}, "R", "redirects", {"s.0": "301|~|b.test|~"}),
        ({"redirect": {"scheme": "https", "path": "/x"}}, "R", "redirects", {"s.0": "308|https|~|/x"}),
        ({"rateLimit": {"requests": 5, "window": "10m"}}, "L", "rates", {"s.0": "600|5"}),
        ({"maxBodySize": "1Ki"}, "X", "max-body", {"s.0": "1024"}),
        ({"timeouts": {"response": "1m30s"}}, "T", "timeout-response", {"s.0": "90000"}),
        ({"timeouts": {"tunnel": "1h"}}, "T", "timeout-tunnel", {"s.0": "3600000"}),
        (
            {
                "headers": {
                    "request": {"set": {"X-A": "a, b>%"}, "remove": ["X-B"]},
                    "response": {"set": {"X-C": 'say "hi"'}},
                }
            },
            "H",
            "headers",
            {"s.0": ">X-B,>X-A:a%2C%20b%3E%25,<X-C:say%20%22hi%22"},
        ),
        (
            {"cors": {"origins": ["https://a.test"], "headers": ["X-T"], "credentials": True}},
            "C",
            "cors",
            {"s.0": "GET,HEAD,POST|X-T|~|600|true"},
        ),
        ({"cors": {"origins": ["*"]}}, "C", "origins", {"s.0|*": "1"}),
    ],
)
def test_a_setting_is_a_flag_and_an_entry(
    fields: dict[str, Any], flag: str, name: str, entries: dict[str, str]
) -> None:
    made = maps(fields)

    (target,) = made["routes"].values()
    assert target.split("|")[2] == flag
    assert made[name] == entries


def test_flags_without_a_map() -> None:
    assert flags_of(Route(hostnames=("a.test",), maintenance=True)) == "M"
    assert flags_of(Route.model_validate({"hostnames": ["a.test"], "auth": {"basic": {"file": "x"}}})) == "D"


@pytest.mark.parametrize(
    ("tls", "is_secured", "flags"),
    [
        ({}, True, "S"),
        ({}, False, ""),
        ({"certificate": "acme"}, True, "S"),
        ({"certificate": "acme"}, False, ""),
        ({"certificate": "none"}, True, ""),
        ({"redirect": False}, True, ""),
        ({"hsts": {}}, True, "SY"),
        ({"hsts": {}}, False, ""),
    ],
)
def test_https_is_only_asked_for_where_a_certificate_is_served(
    tls: dict[str, Any], is_secured: bool, flags: str
) -> None:
    route = Route.model_validate({"hostnames": ["a.test"], "tls": tls})
    assert flags_of(route, is_secured=is_secured) == flags


def test_strict_transport_security_is_a_value_without_white_space() -> None:
    made = maps_of(
        table(
            {"tls": {"hsts": {}}},
            {"tls": {"hsts": {"maxAge": "366d", "includeSubdomains": True, "preload": True}}},
        ),
        {"s.0": "h001", "s.1": "h001"},
        {},
    )
    assert made["hsts"] == {
        "s.0": "max-age=15552000",
        "s.1": "max-age=31622400;includeSubDomains;preload",
    }


def test_a_route_without_a_pool_is_left_out_and_a_redirect_needs_none() -> None:
    made = maps_of(table({}, {"redirect": {"hostname": "b.test"}}), {}, {})

    assert made["routes"] == {"r1.test/": "s.1|~|R|0"}


def test_connections_have_their_port_and_name() -> None:
    made = maps(
        tcp=(
            TcpRoute(port=2222, target=22, allow_from=("10.0.0.0/8",)),
            TcpRoute(port=5432, target=5432, hostnames=("db.test", "*.db.test")),
        )
    )

    assert made["tcp"] == {
        "2222|": "s.tcp0|t001|A",
        "5432|*.db.test": "s.tcp1|t001|~",
        "5432|db.test": "s.tcp1|t001|~",
    }


def test_pools_say_how_they_are_checked_and_how_long_requests_wait() -> None:
    made = maps_of(
        table(), {}, {"h001": PoolSettings(Probe("/healthz", "localhost", 2.0), 1.5)}, ["10.0.0.0/8"]
    )

    assert (made["check-path"], made["check-host"], made["hold"]) == (
        {"h001": "/healthz"},
        {"h001": "localhost"},
        {"h001": "1500"},
    )
    assert made["trusted"] == {"10.0.0.0/8": "1"}


@pytest.mark.parametrize(
    "entry", [("a b", "x"), ("a", "x y"), ("a\n", "x"), ("", "x"), ("a", ""), ("#a", "x"), ("ä", "x")]
)
def test_what_is_more_than_an_entry_is_refused(entry: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="map entry"):
        text_of(dict([entry]))


networks = st.sampled_from(
    [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.3",
        "192.168.0.0/16",
        "::/0",
        "2001:db8::/32",
        "2001:db8::1",
    ]
)
clients = st.sampled_from(
    ["10.1.2.3", "10.1.9.9", "10.9.9.9", "8.8.8.8", "2001:db8::1", "2001:db8::2", "::1"]
)


@given(st.lists(st.lists(networks, min_size=1, max_size=3, unique=True), min_size=1, max_size=3), clients)
def test_the_smallest_network_of_a_client_says_which_routes_it_may_use(
    lists: list[list[str]], client: str
) -> None:
    made = maps(*({"allowFrom": allowed} for allowed in lists))
    address = ip_address(client)
    smallest = max(
        (network for network in map(ip_network, made["networks"]) if address in network),
        key=lambda network: network.prefixlen,
    )

    for index, allowed in enumerate(lists):
        may = any(address in ip_network(network) for network in allowed)
        assert (f"s.{index}|{smallest}" in made["allowed"]) is may


values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60).map(str.strip)


@given(st.dictionaries(st.sampled_from(["X-A", "X-B"]), values, min_size=1))
def test_any_value_of_a_header_is_one_word(headers: dict[str, str]) -> None:
    made = maps({"headers": {"response": {"set": headers}}})

    (line,) = lines_of(made["headers"])
    assert len(line.split(" ")) == 2
    assert line.count("<") == len(headers)
