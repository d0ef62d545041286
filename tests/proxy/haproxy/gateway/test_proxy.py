"""What a gateway's HAProxies are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from reconciler.api.resource import Metadata
from reconciler.api.vaultgateway import VaultGateway
from reconciler.core.assess.cause import Cause
from reconciler.core.plan.gateway_operations import ChangeRoutes
from reconciler.proxy.haproxy.gateway.access import OneHAProxy
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways


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
