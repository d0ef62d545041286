"""The metrics of HAProxies on other nodes as pages: one that does not answer is 503, and delays no other."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette

from reconciler.proxy.errors import ProxyError
from reconciler.web.relayed import relayed_path, relayed_route
from tests.web.asking import Client


def ask(gateway: str, slot: int) -> str:
    if gateway != "main":
        raise LookupError(gateway)
    if slot == 2:
        raise ProxyError("node b: its agent did not answer a moment ago")
    return "haproxy_up 1\n"


@pytest.fixture
def client() -> Client:
    return Client(Starlette(routes=[relayed_route(ask)]))


def test_what_the_agent_gives_is_the_page(client: Client) -> None:
    answer = client.get(relayed_path("main", 1))
    assert (answer.status_code, answer.text) == (200, "haproxy_up 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_one_that_does_not_answer_is_a_target_that_is_down(client: Client) -> None:
    answer = client.get(relayed_path("main", 2))
    assert (answer.status_code, answer.text) == (503, "node b: its agent did not answer a moment ago\n")


@pytest.mark.parametrize(
    "path",
    [
        relayed_path("other", 1),
        "/proxies/main/x",
        "/proxies/main",
        "/proxies/main/1/2",
        # More digits than Python makes a number of.
        f"/proxies/main/{'1' * 5000}",
    ],
)
def test_another_page_does_not_exist(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_it_can_only_be_read(client: Client) -> None:
    assert client.request("POST", relayed_path("main", 1)).status_code == 405
