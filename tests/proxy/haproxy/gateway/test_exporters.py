"""Where Prometheus finds the HAProxies of a gateway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from reconciler.api.vaultgateway import GatewaySpec, VaultGateway
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Role
from reconciler.proxy.haproxy.gateway.containers import gateway_stack
from reconciler.proxy.haproxy.gateway.exporters import exporters
from reconciler.proxy.haproxy.gateway.site import site_of
from tests.controller.worlds import BEGINNING

HOLDER = Container(
    id="holder",
    name="vaultgateway-main-gateway-1",
    workload="gateway",
    role=Role.GATEWAY,
    revision="",
    state=State.RUNNING,
    health=Health.NONE,
    created=BEGINNING,
    addresses={"vault-files_vault-net": "10.1.0.9", "gateway-net": "10.0.0.2"},
)
PROXY = replace(
    HOLDER, id="proxy", role=Role.PROXY, workload="haproxy", addresses={}, slot=2, joined="holder"
)


@pytest.mark.parametrize(
    ("network", "expected"), [("published", "10.0.0.2:1842"), ("host", "127.1.0.80:1842")]
)
def test_running_ones_are_found(network: Literal["host", "published"], expected: str) -> None:
    spec = GatewaySpec(network=network)
    gateway = VaultGateway.model_validate({"metadata": {"name": "main"}, "spec": {"network": network}})
    stack = gateway_stack(gateway, site_of(Path("/state/gateways/main"), spec), (), "", b"")
    stopped = replace(PROXY, state=State.EXITED, slot=3)
    lost = replace(PROXY, joined="gone", slot=4)
    found = exporters(stack, spec, [HOLDER, PROXY, stopped])
    assert found == ((2, expected),)
    named = replace(HOLDER, addresses={"0-vaultgateway-main": "10.0.0.7"})
    if network == "published":
        assert exporters(stack, spec, [HOLDER, lost]) == ()
        assert exporters(stack, spec, [named, PROXY]) == ((2, "10.0.0.7:1842"),)
