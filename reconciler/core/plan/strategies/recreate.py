"""Recreate: the old replicas end before the new ones start, for data with a single writer. Requests are held meanwhile."""

from __future__ import annotations

from reconciler.core.assess.assessment import Assessment
from reconciler.core.plan.strategies.base import Decision, Gates


def recreate(assessment: Assessment) -> Decision:
    """All old replicas may leave at once, and nothing is created while one of them lives."""
    old_lives = any(replica.live and not replica.current for replica in assessment.replicas)
    enough = max(1, assessment.stack.serving)
    return Decision(floor=0, surge=0, enough=enough, holds=True, gates=Gates(create=not old_lives))
