"""The maps of a table: what each setting of a route becomes, and that no entry is more than an entry."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.desired.stack import Probe
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.logins import Logins
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


def table(*routes: dict[str, Any], tcp: tuple[TcpRoute, ...] = (), is_stopped: bool = False) -> Table:
    models = [
        Route.model_validate({"hostnames": [f"r{index}.test"], **fields}, by_alias=True)
        for index, fields in enumerate(routes)
    ]
    tables, refusals = settle(
        {"main": SPEC}, [Claimant("s", datetime(2026, 5, 1, tzinfo=UTC), tuple(models), tcp, is_stopped)]
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


BASIC = {"basic": {"file": "x"}}
FORWARD = {"forward": {"url": "http://auth.test"}}


@pytest.mark.parametrize(
    ("auth", "is_guarded", "flags"),
    [(BASIC, False, "D"), (BASIC, True, "B"), (FORWARD, False, "D"), (FORWARD, True, "F"), (None, False, "")],
)
def test_a_route_whose_auth_cannot_be_checked_is_closed(auth: Any, is_guarded: bool, flags: str) -> None:
    route = Route.model_validate({"hostnames": ["a.test"], "auth": auth})
    assert flags_of(route, is_guarded=is_guarded) == flags


def test_logins_are_entries_of_their_route_by_the_digest_of_the_name() -> None:
    hashed = "$6$salt$" + "x" * 86
    made = table({"auth": {"basic": {"file": "/x", "realm": "The vault"}}}, {"auth": BASIC}, {})
    pools = dict.fromkeys(made.routes, "h001")
    maps = maps_of(made, pools, {}, logins={"s.0": Logins({"ad a|": hashed})})

    decoy = "$6$rounds=5000$" + "." * 16 + "$" + "." * 86
    digest = sha256(b"ad a|").hexdigest()
    assert maps["users"] == {f"s.0|{digest}": hashed, "s.0|": decoy}
    assert maps["realms"]["s.0"] == "The%20vault"
    assert [target.split("|")[2] for target in maps["routes"].values()] == ["BI", "DI", "I"]
    assert set(maps["identity"].values()) == {"remote-email,remote-groups,remote-name,remote-user"}
    text_of(maps["users"])


def test_an_auth_service_is_asked_by_its_pool() -> None:
    where = {
        "forward": {"service": "auth", "path": "/check?x=1", "responseHeaders": ["X-Me"], "timeout": "1s"}
    }
    theirs = [
        Route.model_validate({"hostnames": ["*.id.test", "id.test"], "sticky": "cookie"}, by_alias=True),
        Route.model_validate({"hostnames": ["*.auth.test", "auth.test"], "path": "/ui"}, by_alias=True),
        Route.model_validate({"hostnames": ["x.test"], "redirect": {"hostname": "auth.test"}}, by_alias=True),
    ]
    mine = Route.model_validate({"hostnames": ["a.test"], "auth": where}, by_alias=True)
    since = datetime(2026, 5, 1, tzinfo=UTC)
    claimants = [Claimant("s", since, (mine,)), Claimant("auth", since, tuple(theirs))]
    made = settle({"main": SPEC}, claimants)[0]["main"]

    maps = maps_of(made, {"s.0": "h001", "auth.0": "s001", "auth.1": "h002"}, {})
    assert maps["forward"] == {"s.0": "h002|1000|auth.test|/check?x=1|X-Me"}
    assert maps["routes"]["a.test/"].split("|")[2] == "FI"
    assert "x-me" in maps["identity"]["s.0"]
    # It has no pool yet.
    maps = maps_of(made, {"s.0": "h001", "auth.0": "s001"}, {})
    assert (maps["forward"], maps["routes"]["a.test/"].split("|")[2]) == ({}, "DI")


def test_an_address_is_asked_as_it_is() -> None:
    auth = {"forward": {"url": "http://auth.test:9091/api/verify?rd=x"}}
    made = maps({"auth": auth})
    assert made["forward"] == {
        "s.0": "~|5000|~|http://auth.test:9091/api/verify?rd=x|Remote-User,Remote-Groups,Remote-Name,Remote-Email"
    }


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


def test_routes_of_a_stopped_service_have_a_flag() -> None:
    rests = table({"hostnames": ["a.test"]}, tcp=(TcpRoute(port=2222, target=22),), is_stopped=True)
    made = maps_of(rests, {"s.0": "h001", "s.tcp0": "t001"}, {})
    assert made["routes"] == {"a.test/": "s.0|h001|N|0"}
    assert made["tcp"] == {"2222|": "s.tcp0|t001|N"}


def _tried(fields: dict[str, Any]) -> Route | None:
    try:
        return Route.model_validate({"hostnames": ["r0.test"], "auth": fields}, by_alias=True)
    except ValidationError:
        return None


TEXTS = st.one_of(
    st.text(max_size=40),
    st.text('aB0 ._-"\\\n\r\t|,;:%$#{}~/?', max_size=20),
    st.from_regex(r"(http://)?[a-z]{1,3}[|,%\\s\"/:?0-9]{0,4}[a-z]?", fullmatch=True),
)


@given(TEXTS, st.lists(TEXTS, max_size=3), TEXTS)
def test_no_text_of_auth_is_more_than_itself(realm: str, headers: list[str], address: str) -> None:
    basic = _tried({"basic": {"file": "/x", "realm": realm}})
    if basic is not None and basic.auth is not None and basic.auth.basic is not None:
        made = table({"auth": basic.auth.model_dump(by_alias=True)})
        written = dict(maps_of(made, {"s.0": "h001"}, {}, logins={"s.0": Logins({})}))["realms"]["s.0"]
        assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", written)
        assert unquote(written) == realm
        assert not set(realm) & set('"\\\r\n')
    for where in ({"url": address}, {"service": "s", "path": address}):
        forward = _tried({"forward": {**where, "responseHeaders": headers}})
        if forward is None or forward.auth is None:
            continue
        # Of itself: it has a pool.
        entry = maps({"auth": forward.auth.model_dump(by_alias=True)})["forward"]["s.0"]
        pool, milliseconds, _, asked, names = entry.split("|")
        assert (pool, milliseconds, asked) == ("~" if "url" in where else "h001", "5000", address)
        assert names == ",".join(headers)
        text_of({"s.0": entry})
