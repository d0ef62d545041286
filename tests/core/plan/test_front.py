"""A plan asks a proxy for nothing that it cannot do: the same scenes as in plans/, with fewer capabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.plan.front import ProxyCapabilities
from reconciler.core.plan.planner import plan
from reconciler.core.plan.strategies import STRATEGIES, Decision
from reconciler.proxy.haproxy.front import FRONT, HAProxyFront
from tests.core.scenes import Scene, read_scene

PLANS = Path(__file__).parent / "plans"


def scene(name: str) -> Scene:
    return read_scene((PLANS / f"{name}.txt").read_text().partition("-" * 60)[0])


def planned(made: Scene, **capabilities: bool) -> str:
    return str(plan(made.assessment, made.history, HAProxyFront(ProxyCapabilities(**capabilities))))


def test_without_holding_a_dependency_is_changed_and_the_pool_left_alone() -> None:
    made = scene("dependency_change_holds")
    assert "drain server" in planned(made)
    without = planned(made, hold=False)
    assert "drain server" not in without
    assert "stop database-1" in without


def test_without_handing_over_a_new_proxy_opens_its_own_sockets() -> None:
    made = scene("proxy_image")
    assert "taking over from slot 1" in planned(made)
    without = planned(made, handover=False)
    assert "create haproxy in slot 2 (" in without


def test_without_weights_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rolling = STRATEGIES["RollingUpdate"]

    def weighing(assessment: object) -> Decision:
        decision = rolling(assessment)  # type: ignore[arg-type]
        return replace(decision, weights={"web-1_______": 9})

    monkeypatch.setitem(STRATEGIES, "RollingUpdate", weighing)
    made = scene("converged")
    assert "set weight 9 of server web-1" in planned(made)
    assert planned(made, weights=False) == "nothing to do"


def test_haproxy_can_do_all_of_it() -> None:
    assert FRONT.capabilities == ProxyCapabilities(hold=True, handover=True, weights=True)
