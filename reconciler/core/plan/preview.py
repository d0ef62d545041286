"""A preview: observation, assessment and plan of one moment."""

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
    """Observation, assessment, history and plan of one stack at one moment."""

    assessment: Assessment
    history: History
    plan: Plan

    @property
    def stack(self) -> Stack:
        """The desired state."""
        return self.assessment.stack

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Every container of the pool, oldest first."""
        return self.assessment.replicas

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """The differences between the desired and the observed state."""
        return diff(self.assessment)

    @cached_property
    def unsettled(self) -> tuple[Difference, ...]:
        """The differences that the controller will remove; a moved tag is reported, and followed only on request."""
        return tuple(each for each in self.differences if each.kind is not Kind.IMAGE)

    @property
    def now(self) -> datetime:
        """When the observation was made."""
        return self.assessment.now
