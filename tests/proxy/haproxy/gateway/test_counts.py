"""What a gateway counts of the pools of one service, while others have pools beside them."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reconciler.core.traffic.tally import Tally
from reconciler.proxy.haproxy.counting import HAProxyCounting
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import until
from tests.proxy.haproxy.gateway.conftest import POOLS, SPEC, SSH
from tests.proxy.haproxy.gateway.test_servers import GATEWAY, PLAIN, RAW, STICKY, Service, service

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

__all__ = ["service"]
pytestmark = pytest.mark.docker


def counted(service: Service) -> dict[str, Tally]:
    """The tally of each source."""
    counting = HAProxyCounting(lambda: {GATEWAY: service.world.site})
    found = list(counting.counts([(service.stack, [])]))
    assert {each.service for each in found} <= {service.stack.name}
    return {each.source: each.tally for each in found}


def requests(service: Service) -> int:
    return sum(each.requests for each in counted(service).values())


def test_requests_to_all_pools_of_a_service_are_counted(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN, STICKY, RAW)
    service.add(replicas["one"])
    assert requests(service) == 0
    for path in ("/", "/", "/cart"):
        assert service.world.get("a.test", path).status == 200
    until(lambda: requests(service) == 3)
    assert sum(sum(each.times) for each in counted(service).values()) == 3
    # A connection is no request.
    with closing(socket.create_connection((service.world.address, SSH), timeout=10)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.")
    # What the gateway answers by itself reaches no pool.
    assert service.world.get("elsewhere.test").status == 404
    assert requests(service) == 3
    # The pools of a service are not those of another one.
    another = replace(service.stack, name="other")
    assert list(HAProxyCounting(lambda: {GATEWAY: service.world.site}).counts([(another, [])])) == []


def test_another_worker_is_another_source(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    assert service.world.get("a.test").status == 200
    until(lambda: requests(service) == 1)
    before = counted(service)
    Runtime(service.world.master(), "h001").reload(structure(SPEC, POOLS), every_pool=True)
    until(lambda: not before.keys() & counted(service).keys())
    assert requests(service) == 0
