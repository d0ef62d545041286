"""What others find in the networks of a stack after a container was connected again; see tests/contracts too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docker as docker_sdk
import pytest

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Container
from reconciler.core.desired.stack import Stack
from reconciler.core.names import GATEWAY, VAULT_NET
from reconciler.core.plan.operations import ConnectNetwork, CreateReplicas
from reconciler.engines.compose import engine as compose
from reconciler.engines.compose.engine import ComposeEngine
from tests.e2e.docker_cli import docker, inspect

if TYPE_CHECKING:
    from tests.engines.conftest import MakeStack

pytestmark = pytest.mark.docker


def _gateway(engine: ComposeEngine, stack: Stack) -> Container:
    (gateway,) = [c for c in engine.observe(stack).containers if c.workload == GATEWAY]
    return gateway


def test_a_container_that_is_connected_again_has_its_name_there(
    engine: ComposeEngine, make_stack: MakeStack
) -> None:
    stack = make_stack()
    engine.create(stack, (CreateReplicas(workload=GATEWAY, count=1, existing=0, cause=Cause.MISSING),))
    before = _gateway(engine, stack)
    engine.start((before.id,))
    network = f"{stack.project}_{VAULT_NET}"
    docker("network", "disconnect", "--force", network, before.id)
    request = ConnectNetwork.on(before, Cause.DETACHED, network=VAULT_NET, existing=1)
    engine.connect(stack, request)
    assert GATEWAY in inspect(before.id)["NetworkSettings"]["Networks"][network]["Aliases"]


def test_a_container_may_leave_while_another_pass_has_it_leave(
    engine: ComposeEngine, make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack()
    engine.create(stack, (CreateReplicas(workload=GATEWAY, count=1, existing=0, cause=Cause.MISSING),))
    gateway = _gateway(engine, stack)
    engine.start((gateway.id,))
    network = f"{stack.project}_{VAULT_NET}"
    api = docker_sdk.APIClient()
    try:
        seen = api.inspect_network(network)
        assert gateway.id in seen["Containers"]
        docker("network", "disconnect", network, gateway.id)
        monkeypatch.setattr(api, "inspect_network", lambda name: seen)
        compose._disconnect(gateway.id, network, api)
        compose._remove_network(network, api)
    finally:
        api.close()
    assert engine.networks({network}) == frozenset()
