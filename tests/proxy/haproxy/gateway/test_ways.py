"""Which pools a service has: those that its routes need and its gateway has given it, and those from before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Site
from reconciler.core.routes.routed import Grant, Routed
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.directory import write_gateway, write_slots
from reconciler.proxy.haproxy.gateway.events import whose
from reconciler.proxy.haproxy.gateway.pools import Need, PoolKind, pool_names
from reconciler.proxy.haproxy.gateway.ways import Way, needs_of_service, ways_of

POOLS = pool_names(dict.fromkeys(PoolKind, 3))
HELD = {
    Need("files", 0, PoolKind.HTTP): "h001",
    Need("files", 22, PoolKind.TCP): "t001",
    Need("other", 0, PoolKind.HTTP): "h002",
}


def route(**fields: object) -> Route:
    return Route.model_validate({"hostnames": ["files.test"], **fields})


@pytest.fixture
def sites(tmp_path: Path) -> dict[str, Site]:
    made = {name: Site(tmp_path / name, os.geteuid(), os.getegid()) for name in ("edge", "inner")}
    for name, site in made.items():
        write_gateway(site, GatewaySpec(), POOLS, "haproxy:3.0", HELD if name == "edge" else {}, {})
        write_slots(site, [1, 3])
    return made


def ways(sites: dict[str, Site], *grants: Grant) -> list[Way]:
    needs = needs_of_service("files", Routed(grants))
    return list(ways_of("files", needs, sites, {"edge": 0, "inner": 1}))


def test_pools_are_those_that_are_held_and_needed(sites: dict[str, Site]) -> None:
    (way,) = ways(sites, Grant("edge", route()), Grant("edge", route(port=9000)), Grant("inner", route()))
    assert (way.gateway, way.slots) == ("edge", (1, 3))
    # The one for port 9000 has not been given yet, and no route needs that for port 22 any more.
    assert (way.pools, way.former) == ({"h001": 0}, {"t001": 22})
    assert way.every_pool == {"h001": 0, "t001": 22}


def test_a_redirect_needs_no_pool() -> None:
    redirect = route(redirect={"hostname": "other.test"})
    assert needs_of_service("files", Routed((Grant("edge", redirect),))) == {}


def test_routes_of_one_kind_share_a_pool() -> None:
    grants = (Grant("edge", route()), Grant("edge", route(path="/x")), Grant("edge", route(sticky="cookie")))
    tcp = Grant("edge", TcpRoute(port=2222, target=22))
    assert needs_of_service("files", Routed((*grants, tcp))) == {
        "edge": {
            Need("files", 0, PoolKind.HTTP),
            Need("files", 0, PoolKind.STICKY),
            Need("files", 22, PoolKind.TCP),
        }
    }


def test_slots_of_two_gateways_have_names_that_differ(sites: dict[str, Site]) -> None:
    held = {Need("files", 0, PoolKind.HTTP): "h001"}
    write_gateway(sites["inner"], GatewaySpec(), POOLS, "haproxy:3.0", held, {})
    edge, inner = ways(sites, Grant("edge", route()), Grant("inner", route()))
    codes = [way.code(slot) for way in (edge, inner) for slot in way.slots]
    assert len(set(codes)) == 4
    assert [edge.slot(code) for code in codes] == [1, 3, None, None]
    assert [inner.slot(code) for code in codes] == [None, None, 1, 3]


def test_a_directory_that_cannot_be_read_is_an_error(sites: dict[str, Site]) -> None:
    (sites["edge"].config / "assignment.txt").unlink()
    assert ways(sites, Grant("edge", route())) == []
    sites["edge"].config.rename(sites["edge"].directory / "moved")
    sites["edge"].config.write_text("no directory")
    with pytest.raises(ProxyError, match="gateway edge"):
        ways(sites, Grant("edge", route()))


@pytest.mark.parametrize(
    ("line", "service"),
    [
        (b"Server h001/0123456789ab is UP, reason: Layer7 check passed", "files"),
        (b"Server h002/h001 is DOWN, reason: Layer4 timeout", "other"),
        (b"backend t001 has no server available!", "files"),
        (b"Server h003/0123456789ab is UP", ""),
        (b"Proxy routes started.", ""),
        (b"", ""),
        (b"\xff\xfe h001", "files"),
    ],
)
def test_an_event_is_for_the_service_that_has_the_pool(
    sites: dict[str, Site], line: bytes, service: str
) -> None:
    assert whose(sites["edge"])(line) == service
