"""When a pool had its last request, as the controller learns it from a real HAProxy."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reconciler.core.assess.observation import Activity
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import until
from tests.proxy.haproxy.gateway.conftest import POOLS, SPEC, SSH
from tests.proxy.haproxy.gateway.test_servers import PLAIN, RAW, STICKY, Service, service

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

__all__ = ["service"]
pytestmark = pytest.mark.docker


def seen(service: Service) -> Activity:
    stack = replace(service.stack, idle=60.0)
    activity = service.proxy.observe(stack, ()).activity
    assert activity is not None
    return activity


def test_before_the_first_request_only_the_start_is_known(service: Service) -> None:
    service.route(PLAIN)
    first = seen(service)
    assert (first.is_known, first.open) == (False, 0)
    until(lambda: seen(service).idle > first.idle)


def test_a_request_is_remembered_and_one_that_goes_on_is_open(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN, STICKY)
    service.add(replicas["one"])
    time.sleep(1.5)
    assert service.world.get("a.test").status == 200
    last = seen(service)
    assert (last.is_known, last.open) == (True, 0)
    assert last.idle < 1
    time.sleep(1.5)
    assert 1.4 < seen(service).idle < 5
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(service.world.get, "a.test", "/slow?ms=3000")
        until(lambda: seen(service).open == 1)
        assert asked.result().status == 200
    # Counted from its end.
    after = seen(service)
    assert (after.open, after.is_known) == (0, True)
    assert after.idle < 2
    # Of several pools the latest one counts.
    assert service.world.get("a.test", "/cart").status == 200
    assert seen(service).idle < 1


def test_a_request_that_waits_is_open_and_told_at_once(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN)
    labels = service.proxy.events()
    seen(service)
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        asked = pool.submit(service.world.get, "a.test")
        assert next(labels) == "s"
        assert time.monotonic() - began < 2
        until(lambda: seen(service).open == 1)
        service.add(replicas["one"])
        assert asked.result().status == 200


def test_a_connection_is_activity_as_well(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(RAW)
    service.add(replicas["one"])
    with closing(socket.create_connection((service.world.address, SSH), timeout=10)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.")
        until(lambda: seen(service).open == 1)
    until(lambda: seen(service).open == 0)
    assert seen(service).idle < 2


@pytest.mark.parametrize("route", [{"maintenance": True}, {"allowFrom": ["192.0.2.0/24"]}])
def test_a_request_that_reaches_no_replica_is_none(
    service: Service, replicas: dict[str, Replica], route: dict[str, object]
) -> None:
    service.route({**PLAIN, **route})
    service.add(replicas["one"])
    assert service.world.get("a.test").status in (403, 503)
    assert seen(service).is_known is False


def test_health_checks_are_no_requests(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    time.sleep(2)
    assert seen(service).is_known is False


def test_a_worker_that_leaves_still_tells_what_is_open(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(service.world.get, "a.test", "/slow?ms=4000")
        until(lambda: seen(service).open == 1)
        Runtime(service.world.master(), "h001").reload(structure(SPEC, POOLS), every_pool=True)
        assert seen(service).open == 1
        assert seen(service).idle < 4
        assert asked.result().status == 200


def test_without_an_answer_of_each_haproxy_nothing_is_known(service: Service) -> None:
    service.route(PLAIN)
    service.world.stop()
    assert service.proxy.observe(replace(service.stack, idle=60.0), ()).activity is None
    service.world.containers.clear()
