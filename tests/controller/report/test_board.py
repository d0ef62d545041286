"""Where the HAProxies of a stack serve metrics follows from what was observed, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.controller.report.board import Exporter, exporters
from reconciler.core.assess.observation import (
    Container,
    EngineObservation,
    Health,
    Observation,
    ProxyObservation,
    State,
)
from reconciler.core.desired.stack import (
    Probe,
    ProxySettings,
    Role,
    Site,
    Stack,
    Strategy,
    Workload,
)
from reconciler.core.names import VAULT_NET
from reconciler.proxy.haproxy.front import FRONT
from tests.controller.worlds import MemoryWorld

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def workload(name: str, role: Role) -> Workload:
    return Workload(name, role, 1, "image", "r", frozenset({"r"}), frozenset())


STACK = Stack(
    name="files",
    project="vault-files",
    published=8080,
    site=Site(Path("/state"), 0, 0),
    document={},
    workloads=(workload("gateway", Role.GATEWAY), workload("haproxy", Role.PROXY)),
    proxy=ProxySettings("web", Probe("/", "localhost", 1.0), hold_seconds=1.0, drain_seconds=1.0),
    strategy=Strategy("RollingUpdate", 1, 0, 0.0, 120.0, 10.0, auto_rollback=True),
)
GATEWAY = Container(
    "g",
    "gateway-1",
    "gateway",
    Role.GATEWAY,
    "r",
    State.RUNNING,
    Health.NONE,
    NOW,
    addresses={VAULT_NET: "10.0.0.2"},
)
PROXY = Container(
    "p", "haproxy-1", "haproxy", Role.PROXY, "r", State.RUNNING, Health.NONE, NOW, slot=1, joined="g"
)
PAIR = replace(PROXY, id="q", name="haproxy-2", slot=12)


@pytest.mark.parametrize(
    ("containers", "found"),
    [
        ((), []),
        ((GATEWAY,), []),
        ((GATEWAY, PROXY), [(1, "10.0.0.2:1841")]),
        ((GATEWAY, PROXY, PAIR), [(1, "10.0.0.2:1841"), (12, "10.0.0.2:18412")]),
        ((GATEWAY, replace(PROXY, state=State.EXITED), PAIR), [(12, "10.0.0.2:18412")]),
        # In a namespace that is gone, it cannot be reached.
        ((GATEWAY, replace(PROXY, joined="another")), []),
        ((replace(GATEWAY, addresses={}), PROXY), []),
    ],
)
def test_each_running_haproxy_is_on_the_address_of_its_gateway(
    containers: tuple[Container, ...], found: list[tuple[int, str]]
) -> None:
    observed = Observation(EngineObservation(containers), ProxyObservation("", None, {}))
    assert list(exporters(FRONT, STACK, observed)) == [
        Exporter("files", slot, address) for slot, address in found
    ]


@pytest.mark.parametrize(
    ("wish", "minimum"),
    [
        ({"replicas": 3}, 3),
        ({"replicas": 3, "unavailable": 1}, 2),
        ({"replicas": 1, "unavailable": 1, "surge": 0}, 1),
        ({"replicas": 3, "plugin": "single"}, 3),
        ({"replicas": 3, "rotation": {"interval": "1h", "mode": "single-active"}}, 1),
    ],
)
def test_the_minimum_of_a_pool_is_what_its_strategy_needs(wish: dict[str, Any], minimum: int) -> None:
    memory = MemoryWorld()
    memory.wish(**wish)
    memory.converge()
    (snapshot,) = memory.world.board.snapshots()
    assert snapshot.pool_minimum == minimum
    assert snapshot.pool["up"] >= minimum
