"""The strategies by which replicas are replaced: one file for each, and their names in a spec.

A new strategy is a file here, a line in STRATEGIES and its name in the spec (api/strategy.py).
"""

from __future__ import annotations

from typing import Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.plan.strategies.base import Decision, Gates, Strategy
from reconciler.core.plan.strategies.recreate import recreate
from reconciler.core.plan.strategies.rolling_update import rolling_update
from reconciler.core.plan.strategies.single_active import single_active

__all__ = ["STRATEGIES", "Decision", "Gates", "Strategy", "decide"]

STRATEGIES: Final[dict[str, Strategy]] = {
    "RollingUpdate": rolling_update,
    "Recreate": recreate,
}
"""By `spec.strategy.type`."""


def decide(assessment: Assessment) -> Decision:
    """What the strategy of this stack allows now."""
    decision = STRATEGIES[assessment.stack.strategy.kind](assessment)
    return single_active(decision) if assessment.stack.is_single_active else decision
