"""One look as a whole: what runs, what it is good for, and what would be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.diff import Difference, Kind, diff
from reconciler.core.assess.health import Replica
from reconciler.core.assess.history import History
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import Plan


@dataclass(frozen=True)
class Preview:
    """One look: what runs for a stack, what it is good for, what is remembered, and what would be done about it."""

    assessment: Assessment
    history: History
    plan: Plan

    @property
    def stack(self) -> Stack:
        """What is wanted."""
        return self.assessment.stack

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Every container of the pool, oldest first."""
        return self.assessment.replicas

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """How far there is still to go."""
        return diff(self.assessment)

    @cached_property
    def unsettled(self) -> tuple[Difference, ...]:
        """The differences that are still to go; a tag that was moved is told, and followed only when that is asked for."""
        return tuple(each for each in self.differences if each.kind is not Kind.IMAGE)

    @property
    def now(self) -> datetime:
        """When this look was taken."""
        return self.assessment.now
