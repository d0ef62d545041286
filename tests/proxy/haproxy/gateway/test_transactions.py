"""Maps of a running HAProxy are changed as a whole, and several of them so that no request meets half of a change."""

from __future__ import annotations

import threading
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.transactions import read_map, replace_map
from reconciler.proxy.haproxy.socket import CURRENT, ask

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica
    from tests.proxy.haproxy.gateway.conftest import GatewayWorld

pytestmark = pytest.mark.docker


def test_entries_are_replaced_as_a_whole(front: GatewayWorld) -> None:
    front.serve()
    many = {f"host-{number}.test/": f"s.{number}|h001|~|0" for number in range(3000)}
    replace_map(front.master(), "routes", many)
    assert read_map(front.master(), "routes") == many

    replace_map(front.master(), "routes", {"a.test/": "s.0|h001|~|0"})
    assert read_map(front.master(), "routes") == {"a.test/": "s.0|h001|~|0"}

    replace_map(front.master(), "routes", {})
    assert read_map(front.master(), "routes") == {}


@pytest.mark.parametrize(("name", "bad"), [("max-body", {"s.0": "many"}), ("networks", {"300.0.0.0/8": "x"})])
def test_entries_that_haproxy_refuses_change_nothing(
    front: GatewayWorld, name: str, bad: dict[str, str]
) -> None:
    front.serve()
    before = read_map(front.master(), name)

    with pytest.raises(ProxyError, match=f"entry of the map {name}"):
        replace_map(front.master(), name, bad)

    assert read_map(front.master(), name) == before


def test_an_entry_that_would_be_more_is_not_sent(front: GatewayWorld) -> None:
    with pytest.raises(ValueError, match="map entry"):
        replace_map(front.master(), "routes", {"a.test/": "s.0|h001|~|0\n\nshow info"})


def test_a_version_that_was_never_committed_does_not_matter(front: GatewayWorld) -> None:
    front.serve()
    ask(front.master(), [f"{CURRENT} prepare map /usr/local/etc/haproxy/maps/routes.map"])

    replace_map(front.master(), "routes", {"a.test/": "s.0|h001|~|0"})

    assert read_map(front.master(), "routes") == {"a.test/": "s.0|h001|~|0"}
    front.serve()


HERE = ["172.16.0.0/12"]
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "path and strip": ({"path": "/x", "stripPath": True}, {"path": "/x/healthz", "redirect": {"path": "/y"}}),
    "networks": ({"allowFrom": HERE}, {"allowFrom": ["172.16.0.0/16", "172.17.0.0/16", *HERE]}),
    "protection": ({"allowFrom": HERE, "maxBodySize": "1Mi", "cors": {"origins": ["*"]}}, {}),
    "kind of pool": ({"sticky": "cookie"}, {"compression": True}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_request_meets_half_of_a_change(
    front: GatewayWorld, replicas: dict[str, Replica], change: str
) -> None:
    sides = [{"hostnames": ["a.test"], **side} for side in CHANGES[change]]
    path = "/x/healthz" if "strip" in change else "/healthz"
    statuses: set[int] = set()
    ended = threading.Event()

    def ask_all_the_time() -> None:
        while not ended.is_set():
            statuses.add(front.get("a.test", path).status)

    front.serve(sides[0], replicas=[replicas["one"]])
    client = threading.Thread(target=ask_all_the_time)
    client.start()
    try:
        for _, side in zip(range(24), cycle(sides), strict=False):
            front.serve(side, replicas=[replicas["one"]])
    finally:
        ended.set()
        client.join(20)

    assert statuses == ({200, 308} if "strip" in change else {200})
