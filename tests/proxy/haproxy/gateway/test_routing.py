"""Which route a real HAProxy gives a request: the same as the core's rule, whatever the routes and the request."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.routes.match import match
from tests.proxy.haproxy.gateway.conftest import GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker


def signpost(number: int, *hostnames: str, path: str = "/") -> dict[str, Any]:
    """A route that tells its number without a replica."""
    return {
        "hostnames": list(hostnames),
        "path": path,
        "redirect": {"hostname": f"r{number}.example", "path": "/"},
    }


def route_of(front: GatewayWorld, host: str, path: str) -> str | None:
    answer = front.get(host, path)
    location = answer.headers.get("location", "")
    return f"s.{location.removeprefix('http://r').removesuffix('.example/')}" if location else None


@pytest.mark.parametrize("seed", range(3))
def test_a_request_gets_the_route_that_the_core_says(front: GatewayWorld, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a.test", "b.test", "c.a.test", "*.test", "*.a.test", "*.b.a.test"]
    paths = ["/", "/x", "/x/y", "/xy", "/x/y/z"]
    claims = chance.sample([(name, path) for name in names for path in paths], 12)
    table = front.serve(*(signpost(n, name, path=path) for n, (name, path) in enumerate(claims)))

    hosts = [
        "a.test",
        "b.test",
        "c.a.test",
        "d.a.test",
        "e.b.a.test",
        "f.e.b.a.test",
        "test",
        "other.example",
    ]
    asked = [(host, path) for host in hosts for path in (*paths, "/x/", "/q", "/x/yz")]
    for host, path in asked:
        assert route_of(front, host, path) == match(table, host, path), (host, path)


@pytest.mark.parametrize(
    ("host", "path", "route"),
    [
        ("A.Test", "/", "s.0"),
        ("a.test:8080", "/", "s.0"),
        ("a.test.", "/", "s.0"),
        ("a.test", "/admin?x=/../y", "s.1"),
        ("a.test", "//admin", "s.1"),
        ("a.test", "/%61dmin", "s.1"),
        ("a.test", "/admin;x=1/y", "s.1"),
        ("a.test", "/x;/admin", "s.0"),
        ("a.test", "/admin%2Fx", "s.1"),
        ("a.test", "/ADMIN", "s.0"),
        # Decoded once, as by a replica.
        ("a.test", "/%2561dmin", "s.0"),
        ("a.test", "/x?%zz", "s.0"),
        ("a.test", "http://a.test/admin", "s.1"),
        ("a.test", "http://a.test//%61dmin", "s.1"),
    ],
)
def test_other_ways_to_write_an_address_have_its_route(
    front: GatewayWorld, host: str, path: str, route: str
) -> None:
    front.serve(signpost(0, "a.test"), signpost(1, "a.test", path="/admin"))

    assert route_of(front, host, path) == route


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("a.test", "/x/../admin"),
        ("a.test", "/./admin"),
        ("a.test", "/x/%2e%2e/admin"),
        ("a.test", "/x/.%2E"),
        ("a.test", "/x\\admin"),
        ("a.test", "/x/%5c../admin"),
        ("a.test/admin", "/"),
        # A replica that takes these for themselves would find /admin.
        ("a.test", "//admin/%zz"),
        ("a.test", "/%61dmin/%"),
        ("a.test", "/;/admin/%f"),
        ("a.test", "/%zz/%2e%2e/admin"),
        # One that cuts or drops these would, too.
        ("a.test", "/%00/admin"),
        ("a.test", "/admin%0a"),
        ("a.test", "/admin%09/"),
        ("a.test", "/adm%7fin"),
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(front: GatewayWorld, host: str, path: str) -> None:
    front.serve(signpost(0, "a.test"), signpost(1, "a.test", path="/admin"))

    assert front.get(host, path).status == 400


def test_a_dot_in_a_name_leads_nowhere(front: GatewayWorld) -> None:
    front.serve(signpost(0, "a.test"))

    assert route_of(front, "a.test", "/.well-known/x..y/.z") == "s.0"


def test_an_address_of_no_route_gets_a_page(front: GatewayWorld) -> None:
    front.serve(signpost(0, "a.test"))

    answer = front.get("b.test")
    assert answer.status == 404
    assert b"There is nothing at this address" in answer.body
    assert answer.headers["x-request-id"].encode() in answer.body


def test_routes_with_hundreds_of_names_are_one_change(front: GatewayWorld) -> None:
    names = [f"host-{number}.some.long.example.org" for number in range(2000)]
    routes = [
        signpost(n, *names[n * 50 : n * 50 + 50], path="/a/long/path/of/some/length") for n in range(40)
    ]
    front.serve(*routes)

    assert route_of(front, names[0], "/a/long/path/of/some/length") == "s.0"
    assert route_of(front, names[1999], "/a/long/path/of/some/length/x") == "s.39"
    assert front.get(names[1999], "/a").status == 404


def test_a_service_that_goes_leaves_the_others(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    one = replicas["one"]
    front.serve({"hostnames": ["a.test"]}, signpost(1, "b.test"), replicas=[one])
    assert front.get("a.test").headers["x-replica"] == "one"

    front.serve({"hostnames": ["a.test"]}, replicas=[one])

    assert front.get("b.test").status == 404
    assert front.get("a.test").headers["x-replica"] == "one"
