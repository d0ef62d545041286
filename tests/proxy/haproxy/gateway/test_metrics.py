"""What a real HAProxy counts for each route, as Prometheus gets it."""

from __future__ import annotations

import re
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from metrics.gateways import PROXY_METRICS
from tests.proxy.conftest import until
from tests.proxy.haproxy.gateway.conftest import GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

EXPORTER = 1841


def told(front: GatewayWorld) -> str:
    """What HAProxy tells of holds and of routes."""
    connection = HTTPConnection(front.address, EXPORTER, timeout=20)
    try:
        connection.request("GET", "/holds")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def holds(front: GatewayWorld) -> dict[str, int]:
    """How many requests were held, by what became of them."""
    lines = re.findall(r'^vault_request_hold_seconds_count{result="(\w+)"} (\d+)$', told(front), re.MULTILINE)
    return {result: int(count) for result, count in lines}


def counted(front: GatewayWorld) -> dict[str, float]:
    """The series of routes, and their values."""
    text = told(front)
    kinds = re.findall(r"^# TYPE (vault_route_\w+) (\w+)$", text, re.MULTILINE)
    assert kinds == [(metric.name, metric.type.value) for metric in PROXY_METRICS]
    for metric in PROXY_METRICS:
        assert f"# HELP {metric.name} {metric.help}\n" in text
    lines = re.findall(r"^(vault_route_\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def requests(route: str, class_: str) -> str:
    return f'vault_route_requests_total{{route="{route}",class="{class_}"}}'


def test_answers_are_counted_by_route_and_class(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve(
        {"hostnames": ["a.test"]},
        {"hostnames": ["b.test"], "redirect": {"hostname": "c.test"}},
        {"hostnames": ["off.test"], "maintenance": True},
        {"hostnames": ["few.test"], "maxBodySize": "1Ki"},
        replicas=[replicas["one"]],
    )
    assert counted(front) == {}, "no request, no series"
    assert [front.get("a.test").status for _ in range(3)] == [200] * 3
    assert front.get("b.test").status == 308
    assert front.get("off.test").status == 503
    assert front.get("few.test", Content_Length="5000").status == 413
    assert front.get("other.test").status == 404

    # An answer is counted when it is sent, its bytes when the request has ended.
    until(lambda: counted(front).get('vault_route_active_requests{route="s.0"}') == 0)
    seen = counted(front)
    assert {name: value for name, value in seen.items() if value and "requests_total" in name} == {
        requests("s.0", "2xx"): 3,
        requests("s.1", "3xx"): 1,
        requests("s.2", "5xx"): 1,
        requests("s.3", "4xx"): 1,
    }
    assert seen['vault_route_responses_total{route="s.0"}'] == 3
    assert seen['vault_route_responses_total{route="s.1"}'] == 0, "HAProxy itself has answered"
    assert 0 <= seen['vault_route_response_seconds_total{route="s.0"}'] < 60
    assert seen['vault_route_bytes_total{route="s.0",direction="in"}'] > 0
    assert seen['vault_route_bytes_total{route="s.0",direction="out"}'] > 0


def test_the_time_of_replicas_is_summed_up(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve({"hostnames": ["a.test"]}, replicas=[replicas["one"]])
    began = time.monotonic()
    assert front.get("a.test", path="/slow?ms=1000").status == 200
    took = time.monotonic() - began
    # HAProxy reads its clock once for each round of its loop.
    assert 0.9 <= counted(front)['vault_route_response_seconds_total{route="s.0"}'] <= took + 0.2
