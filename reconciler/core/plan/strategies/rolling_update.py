"""RollingUpdate: new replicas come first, within a budget, and old ones leave as the new ones serve."""

from __future__ import annotations

from reconciler.core.assess.assessment import Assessment
from reconciler.core.plan.strategies.base import Decision


def rolling_update(assessment: Assessment) -> Decision:
    """At most N + surge containers, and at least N - unavailable that take traffic."""
    stack = assessment.stack
    floor = max(0, stack.replicas - stack.strategy.unavailable)
    return Decision(floor=floor, surge=stack.strategy.surge, enough=max(1, floor))
