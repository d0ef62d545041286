"""Drift that the controller must not repair: `spec.drift: warn` or `ignore`.

A change of the spec is always rolled out. Only after that do these modes keep manual changes to the containers.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from reconciler.api import Spec, Status, find_condition
from reconciler.api.reasons import Reason
from reconciler.controller.report import summary
from reconciler.controller.report.journal import Journal
from reconciler.core.assess.diff import Difference
from reconciler.core.plan.preview import Preview
from reconciler.store.base import StoredObject


def is_to_be_left(stored: StoredObject, before: Status, preview: Preview) -> bool:
    """Whether this pass found drift and the spec says not to touch it."""
    if stored.resource.spec.drift == "heal" or not preview.plan or _is_asked_for(preview):
        return False
    ready = find_condition(before.conditions, "Ready")
    return (
        ready is not None
        and ready.observed_generation == stored.generation
        and ready.reason in (Reason.SERVING, Reason.STOPPED, Reason.DRIFTED)
    )


def _is_asked_for(preview: Preview) -> bool:
    """Whether a replica is to be replaced because it was asked to be (rotated or evicted), or something is to leave a node
    that is drained: that is no drift.
    """
    assessment = preview.assessment
    moving = any(each.is_moving for each in (*assessment.replicas, *assessment.others))
    return moving or any(each.asked for each in assessment.replicas)


def report(stored: StoredObject, before: Status, preview: Preview, journal: Journal) -> Status:
    """The status of a service whose drift is kept: under `warn` it and an event list the differences."""
    differences = _worth_telling(stored.resource.spec, preview)
    if not differences:
        return summary.seen(before, stored, preview)
    more = f" and {len(differences) - summary.SHOWN} more" if len(differences) > summary.SHOWN else ""
    message = f"{'; '.join(map(str, differences[: summary.SHOWN]))}{more}; spec.drift is warn"
    journal.failed(stored.name, Reason.DRIFTED, message, preview.now)
    return summary.drifted(before, stored, preview, message)


def _worth_telling(spec: Spec, preview: Preview) -> list[Difference]:
    if spec.drift == "ignore":
        return []
    found = preview.differences
    return [
        each for each in found if not any(fnmatchcase(each.path, pattern) for pattern in spec.drift_ignore)
    ]
