"""Where Prometheus finds the HAProxies of a gateway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from reconciler.api.vaultgateway import GatewaySpec, VaultGateway
from reconciler.core.assess.observation import (
    Container,
    EngineObservation,
    FrontNode,
    Health,
    State,
)
from reconciler.core.desired.stack import Role
from reconciler.proxy.base import ExporterPlace
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

    def found(*containers: Container) -> tuple[ExporterPlace, ...]:
        return exporters(stack, spec, EngineObservation(containers), {})

    assert found(HOLDER, PROXY, stopped) == (ExporterPlace(2, expected),)
    named = replace(HOLDER, addresses={"0-vaultgateway-main": "10.0.0.7"})
    if network == "published":
        assert found(HOLDER, lost) == ()
        assert found(named, PROXY) == (ExporterPlace(2, "10.0.0.7:1842"),)


def test_those_on_nodes_have_no_address_and_one_that_is_away_stays() -> None:
    spec = GatewaySpec(node_selector={})
    gateway = VaultGateway.model_validate({"metadata": {"name": "main"}, "spec": {"nodeSelector": {}}})
    stack = gateway_stack(gateway, site_of(Path("/state/gateways/main"), spec), (), "", b"")
    here = EngineObservation((PROXY, replace(PROXY, id="starts", slot=3, state=State.CREATED)))
    nodes = (
        FrontNode("a", seen=here),
        FrontNode("b", problem="it is silent"),
        FrontNode("c", problem="it is silent", is_down=True),
    )
    places = {2: "a", 3: "a", 4: "b", 5: "c"}
    found = exporters(stack, spec, replace(here, nodes=nodes), places)
    assert found == (ExporterPlace(2, node="a"), ExporterPlace(4, node="b"))
