"""single-active: one replica serves at a time, the others stand by. It restricts the decision of the rollout strategy."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.plan.strategies.base import Decision


def single_active(decision: Decision) -> Decision:
    """The same decision with turns: one replica is enough, and one has to stay unless the pool is emptied on purpose."""
    floor = 0 if decision.holds else 1
    return replace(decision, floor=floor, enough=1, gates=replace(decision.gates, turns=True))
