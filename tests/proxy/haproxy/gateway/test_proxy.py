"""What a gateway's HAProxies are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.api.errors import PermanentError
from reconciler.api.resource import Metadata
from reconciler.api.vaultgateway import GatewaySpec, VaultGateway
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Probe
from reconciler.core.plan.gateway_operations import ChangeRoutes, EmptyPool
from reconciler.core.routes.table import Table
from reconciler.engines.memory.machine import Machine
from reconciler.proxy.base import GatewayWish
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, WrittenPool
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
from reconciler.proxy.haproxy.reaching import OneHAProxy
from reconciler.proxy.memory.gateways import MemoryGateways

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked:
    """Stands in for a HAProxy: it remembers which maps it was to have."""

    def __init__(self) -> None:
        self.maps: list[Any] = []

    def change_maps(self, wanted: Any) -> None:
        self.maps.append(wanted)


def test_only_maps_that_differ_are_changed(tmp_path: Path) -> None:
    """A busy HAProxy that has to tell all maps first does not answer in time, again and again."""
    haproxy = Asked()
    gateways = HAProxyGateways(
        lambda image, directory, user: None, str, lambda: 0.0, at=lambda *_: cast(OneHAProxy, haproxy)
    )
    stack = gateways.stack(VaultGateway(metadata=Metadata(name="main")), tmp_path, (), "", b"")
    maps = {"routes": {"a.test/": "s.0|h001|"}, "hold": {"h001": "1000"}, "hsts": {}}
    gateways.change_routes(
        stack,
        ChangeRoutes(
            container="1",
            workload="haproxy",
            name="haproxy-1",
            cause=Cause.STALE,
            slot=1,
            maps=maps,
            changed=("routes", "hold"),
        ),
    )

    assert haproxy.maps == [{"routes": maps["routes"], "hold": maps["hold"]}]


def test_a_pool_whose_file_had_servers_is_looked_at_once_more(tmp_path: Path) -> None:
    """A HAProxy that started a moment ago, and does not answer yet, may have read the file as it was before."""
    files = MemoryGateways(Machine(lambda: 0.0, lambda: NOW), lambda: 0.0)
    gateways = HAProxyGateways(lambda *_: None, str, lambda: 0.0, files=files, at=files.at)
    stack = gateways.stack(VaultGateway(metadata=Metadata(name="main")), tmp_path / "main", (), "", b"")
    settings = PoolSettings(Probe("/", "localhost", 2.0), 30.0)
    files.write_pool(stack.site, "h001", [PoolServer("one", "10.0.0.2:8000", 1)], settings)
    request = EmptyPool(pool="h001", slots=(), servers=(), cause=Cause.SURPLUS)

    for left in (WrittenPool(settings), WrittenPool()):
        gateways.empty_pool(stack, request)
        assert files.read_pools(stack.site, ["h001"]) == {"h001": left}


def test_nodes_cannot_be_taken_away_while_haproxies_run_on_them(tmp_path: Path) -> None:
    files = MemoryGateways(Machine(lambda: 0.0, lambda: NOW), lambda: 0.0)
    gateways = HAProxyGateways(lambda *_: None, str, lambda: 0.0, files=files, at=files.at)
    gateway = VaultGateway(metadata=Metadata(name="main"))
    stack = gateways.stack(gateway, tmp_path / "main", (), "", b"")
    files.write_slots(stack.site, (1, 2), {1: "a", 2: "b"})
    wish = GatewayWish(gateway, Table("main"), frozenset(), quiet=True)
    with pytest.raises(PermanentError, match=r"cannot be taken away: HAProxies of the gateway run on a, b\."):
        gateways.look(stack, wish, EngineObservation(()), NOW)


def test_files_are_mounted_from_where_an_agent_has_them(tmp_path: Path) -> None:
    gateways = HAProxyGateways(lambda *_: None, str, lambda: 0.0)
    directory = tmp_path / "gateways" / "main"
    for selector, mounted in ((None, directory), ({}, Path("/var/lib/vault-agent/agent/gateways/main"))):
        spec = GatewaySpec.model_validate({"nodeSelector": selector})
        gateway = VaultGateway(metadata=Metadata(name="main"), spec=spec)
        stack = gateways.stack(gateway, directory, (), "", b"")
        assert stack.site.directory == directory
        volumes = stack.document["services"]["haproxy"]["volumes"]
        assert {str(Path(each["source"]).parent) for each in volumes} == {str(mounted)}
