"""A gateway on another node, for real: its certificates and the activity of its pools, which no contract asks for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.certificates.self_signed import self_signed
from reconciler.proxy.haproxy.containers import exporter_port
from reconciler.proxy.haproxy.counting import HAProxyCounting
from reconciler.proxy.haproxy.gateway.tls_files import Certificates, served, write_certificates
from reconciler.proxy.haproxy.reaching import reach
from tests.contracts.gateways import GATEWAY, PLAIN, SERVICE
from tests.contracts.remote import RemotePools
from tests.e2e.waiting import until
from tests.proxy.conftest import Replica, replica, replicas
from tests.proxy.haproxy.gateway.conftest import GatewayWorld, namespace, world
from tests.proxy.haproxy.gateway.test_certificates import shown
from tests.proxy.remote.agents import agent_in

__all__ = ["namespace", "replica", "replicas", "world"]

pytestmark = pytest.mark.docker


@pytest.fixture
def pools(
    world: GatewayWorld, replicas: dict[str, Replica], replica: Callable[..., Replica], tmp_path: Path
) -> Iterator[RemotePools]:
    with agent_in(tmp_path / "agent") as agent:
        made = RemotePools(agent, tmp_path, world, replicas, replica)
        yield made
        made.events.close()


def test_certificates_change_on_the_node(pools: RemotePools, world: GatewayWorld) -> None:
    now = datetime.now(UTC)
    default, *hosts = (self_signed([name], now) for name in ("gateway.invalid", "a.test", "b.test"))
    wanted = Certificates(
        default.pem, served(dict(zip(("a.test", "b.test"), (h.pem for h in hosts), strict=True)))
    )
    write_certificates(pools.site, wanted)
    before = pools.haproxy().read_certificates()
    assert not before.has(wanted)
    pools.haproxy().change_certificates(wanted)
    loaded = pools.haproxy().read_certificates()
    assert loaded.has(wanted)
    assert loaded == reach(world.site, 1, 20.0).read_certificates()
    assert len({shown(world, host) for host in ("a.test", "b.test", "other.test")}) == 3
    # The files are there for the next HAProxy, and only its user reads the keys.
    pems = list((world.site.config / "tls").glob("*.pem"))
    assert len(pems) == 3
    assert {each.stat().st_mode & 0o777 for each in pems} == {0o600}
    pools.haproxy().change_certificates(Certificates(default.pem))
    assert not pools.haproxy().read_certificates().has(wanted)


def test_its_own_metrics_are_told_without_a_port_and_without_spare_pools(
    pools: RemotePools, world: GatewayWorld
) -> None:
    pools.route(PLAIN)
    pools.add(pools.one)
    until("it is answered", pools.request().server)
    text = pools.haproxy().metrics()
    assert 'haproxy_process_build_info{version="' in text
    assert 'haproxy_frontend_http_requests_total{proxy="' in text
    assert 'vault_route_requests_total{route="s.0",class="2xx"} 1\n' in text
    assert "h001" not in text
    assert "haproxy_server_" not in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((world.address, exporter_port(1)), 5.0)


def test_what_a_node_has_counted_is_counted(pools: RemotePools) -> None:
    pools.route(PLAIN)
    pools.add(pools.one)
    until("it is answered", pools.request().server)
    (pool,) = pools.held.values()
    until("it is counted", lambda: pools.haproxy().counted([pool]).tallies[pool].requests)
    counted = pools.haproxy().counted([pool])
    assert set(counted.tallies) == {pool}
    assert counted.tallies[pool].requests == sum(counted.tallies[pool].times) == 1
    sites = {GATEWAY: pools.site}
    found = list(HAProxyCounting(lambda: sites, pools.at).counts([(pools.stack, ())]))
    assert [(each.service, each.tally) for each in found] == [(SERVICE, counted.tallies[pool])]


def test_the_activity_of_a_pool_is_that_of_the_node(pools: RemotePools) -> None:
    pools.route(PLAIN)
    pools.add(pools.one)
    pools.stack = replace(pools.stack, idle=60.0)
    first = pools.observe().activity
    assert first
    assert not first.is_known
    session = pools.request()
    until("it is answered", session.server)
    until("it is known", lambda: (seen := pools.observe().activity) is not None and seen.is_known)
    last = pools.observe().activity
    assert last
    assert last.idle < first.idle + 60
