"""The route returns a JSON list of targets with labels for Prometheus' http_sd, in a stable order."""

from starlette.applications import Starlette

from reconciler.web.discovery import DISCOVERY_PATH, Target, discovery_route
from tests.web.asking import Client

A1 = Target("172.18.0.2:1841", {"name": "a", "slot": "1"})
A2 = Target("172.18.0.2:1842", {"name": "a", "slot": "2"})
B1 = Target("172.19.0.2:1841", {"name": "b", "slot": "1"})
ELSEWHERE = Target("", {"name": "g", "slot": "1", "node": "n2"})
"""The controller's own page, at the address where it was asked."""


def test_every_target_is_a_group_with_its_labels_in_a_stable_order() -> None:
    client = Client(Starlette(routes=[discovery_route(lambda: [ELSEWHERE, B1, A2, A1])]))
    answer = client.get(DISCOVERY_PATH, headers={"Host": "vault.internal:9180"})
    assert answer.headers["content-type"] == "application/json", "Prometheus refuses any other"
    assert answer.json() == [
        {"targets": ["172.18.0.2:1841"], "labels": {"name": "a", "slot": "1"}},
        {"targets": ["172.18.0.2:1842"], "labels": {"name": "a", "slot": "2"}},
        {"targets": ["172.19.0.2:1841"], "labels": {"name": "b", "slot": "1"}},
        {"targets": ["vault.internal:9180"], "labels": {"name": "g", "slot": "1", "node": "n2"}},
    ]


def test_the_list_is_of_the_moment() -> None:
    now = [A1]
    client = Client(Starlette(routes=[discovery_route(lambda: now)]))
    assert len(client.get(DISCOVERY_PATH).json()) == 1
    now.clear()
    assert client.get(DISCOVERY_PATH).json() == []
