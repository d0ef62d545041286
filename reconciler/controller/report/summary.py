"""The status of a service from the results of a pass. Conditions of all kinds are written here.

Conditions follow kstatus: Ready: the spec is reached; Reconciling: in progress; Stalled: a person has to act; Degraded: it
serves with less than it should.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final, TypeVar

from reconciler.api import (
    Condition,
    ConditionStatus,
    ConditionType,
    ReplicaCounts,
    Status,
    find_condition,
    set_condition,
)
from reconciler.api.condition_types import LONGEST_MESSAGE
from reconciler.api.reasons import Reason
from reconciler.api.status import NodeReplicas, ObjectStatus
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import Plan
from reconciler.core.plan.preview import Preview
from reconciler.core.routes.routed import Routed
from reconciler.store.base import StoredObject

SHOWN: Final = 5
"""Differences that fit into a condition; `vaultctl diff` shows all."""

STEADY_SECONDS: Final = 2.0

AnyStatus = TypeVar("AnyStatus", bound=ObjectStatus)

Outcomes = dict[ConditionType, tuple[str, str, str]]
"""Per condition: status, reason, message."""


def is_converged(preview: Preview, replicas: ReplicaCounts) -> bool:
    """Whether nothing is left to do or to wait for, and nothing differs."""
    plan, serving = preview.plan, preview.stack.serving
    complete = replicas.desired == replicas.current == replicas.updated and replicas.serving == serving
    idle = not plan.operations and not plan.waiting and not plan.blocked
    return idle and complete and not preview.unsettled


def after_pass(before: Status, stored: StoredObject, preview: Preview) -> Status:
    """The status after a pass that could observe everything."""
    stack, plan = preview.stack, preview.plan
    facts = seen(before, stored, preview)
    replicas = facts.replicas
    doing = doing_of(plan)
    if not doing and not plan.blocked:
        doing = "; ".join(map(str, preview.unsettled[:SHOWN]))
    progress = f"{replicas.serving} of {stack.serving} replicas serve {stack.revision}"
    if stack.is_stopped or stack.is_asleep:
        progress = "is being stopped"
    if is_converged(preview, replicas):
        # A moved tag does not affect running replicas: it is reported, and followed on request.
        reason, told = _at_rest(before, preview) or (Reason.SERVING, progress)
        ready = (
            "True",
            reason,
            "; ".join([told, *(text for _, text in preview.assessment.moved)]),
        )
        reconciling = ("False", Reason.CONVERGED, "")
    else:
        ready = (
            "False",
            Reason.BLOCKED if plan.blocked else Reason.PROGRESSING,
            plan.blocked or doing or progress,
        )
        busy = bool(doing) or not plan.blocked
        reconciling = (
            ("True", Reason.PROGRESSING, doing or progress) if busy else ("False", Reason.BLOCKED, "")
        )
    stalled = ("True", Reason.BLOCKED, plan.blocked) if plan.blocked else ("False", Reason.WORKING, "")
    outcomes: Outcomes = {"Ready": ready, "Reconciling": reconciling, "Stalled": stalled}
    return with_outcomes(facts, stored.generation, preview.now, outcomes | _degraded(stack, replicas))


def _at_rest(before: Status, preview: Preview) -> tuple[Reason, str] | None:
    """Why no replica serves a stack that is as its spec wants it."""
    if preview.stack.is_stopped:
        return Reason.STOPPED, "spec.replicas is 0; its data is kept"
    if not preview.stack.is_asleep:
        return None
    ready = find_condition(before.conditions, "Ready")
    if ready is not None and ready.reason == Reason.IDLE:
        return Reason.IDLE, ready.message
    since = preview.now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Reason.IDLE, f"asleep since {since}; the next request starts it"


def drifted(before: Status, stored: StoredObject, preview: Preview, message: str) -> Status:
    """The status of a service whose drift is kept."""
    facts = seen(before, stored, preview)
    outcomes: Outcomes = {
        "Ready": ("False", Reason.DRIFTED, message),
        "Reconciling": ("False", Reason.DRIFTED, "nothing is touched"),
        "Stalled": ("False", Reason.WORKING, ""),
    }
    return with_outcomes(
        facts, stored.generation, preview.now, outcomes | _degraded(preview.stack, facts.replicas)
    )


def seen(before: Status, stored: StoredObject, preview: Preview) -> Status:
    """The facts of a status: counts, revision, commit and the next rotation."""
    pool, due = preview.assessment.pool, preview.assessment.next_rotation
    nodes = Counter([node for replica in preview.assessment.live if (node := replica.container.node)])
    facts = {
        "observed_generation": stored.generation,
        "replicas": ReplicaCounts(
            desired=pool.desired,
            current=pool.current,
            updated=pool.updated,
            ready=pool.ready,
            serving=pool.serving,
        ),
        "revision": preview.stack.revision,
        "last_applied_revision": stored.origin.commit or None,
        "next_rotation": _steady(before.next_rotation, due),
        "nodes": tuple(NodeReplicas(name=name, replicas=count) for name, count in sorted(nodes.items())),
    }
    known = all(getattr(before, name) == value for name, value in facts.items())
    return before if known else before.model_copy(update=facts)


def _steady(before: datetime | None, due: float | None) -> datetime | None:
    """The next rotation, as it was told before if that is near enough: a proxy tells in whole seconds for how long a server
    has served, and each change of a status is written.
    """
    if due is None:
        return None
    if before is not None and abs(before.timestamp() - due) < STEADY_SECONDS:
        return before
    return datetime.fromtimestamp(round(due), UTC)


def _degraded(stack: Stack, replicas: ReplicaCounts) -> Outcomes:
    short = stack.serving - replicas.serving
    if short > 0:
        return {
            "Degraded": ("True", Reason.NOT_ALL_SERVING, f"{short} of {stack.serving} replicas do not serve")
        }
    return {"Degraded": ("False", Reason.ALL_SERVING, "")}


def after_failure(
    before: AnyStatus, generation: int, reason: str, message: str, now: datetime, *, stalled: bool
) -> AnyStatus:
    """The status after a pass that ended in an error. `stalled`: trying again cannot help."""
    outcomes: Outcomes = {
        "Ready": ("False" if stalled else "Unknown", reason, message),
        "Reconciling": ("False" if stalled else "True", reason, message),
        "Stalled": (
            "True" if stalled else "False",
            reason if stalled else Reason.RETRYING,
            message if stalled else "",
        ),
    }
    return with_outcomes(before, generation, now, outcomes)


def held_back(before: Status, generation: int, reason: str, problem: str, now: datetime) -> Status:
    """The status of a service that is at its last good commit while there is, or may be, a newer one."""
    return with_outcomes(before, generation, now, {"Stalled": ("True", reason, problem)})


def with_problem(
    before: Status, generation: int, reason: str, problem: str, now: datetime, evidence: str = ""
) -> Status:
    """The status of a service whose newest spec cannot be used; the last good revision is kept, and Ready is not True.

    Degraded also has the `evidence`: the last log lines of a failed container.
    """
    outcomes: Outcomes = {"Ready": ("False", reason, problem), "Stalled": ("True", reason, problem)}
    if reason != Reason.INVALID_MANIFEST:
        outcomes["Degraded"] = ("True", reason, f"{problem}\n{evidence}" if evidence else problem)
    return with_outcomes(before, generation, now, outcomes)


def waiting_for(before: Status, generation: int, names: tuple[str, ...], now: datetime) -> Status:
    """The status of a change that waits for other VaultServices."""
    message = f"waits for {', '.join(names)} to be Ready"
    outcomes: Outcomes = {
        "Ready": ("False", Reason.DEPENDENCY_NOT_READY, message),
        "Reconciling": ("True", Reason.DEPENDENCY_NOT_READY, message),
    }
    return with_outcomes(before, generation, now, outcomes)


def without_gateway(before: Status, generation: int, reason: Reason, message: str, now: datetime) -> Status:
    """The status of a service that no gateway leads requests to; nothing new is started for it."""
    # The gateway may be about to be applied.
    waits = reason in (Reason.WAITING_FOR_GATEWAY, Reason.NO_GATEWAY)
    outcomes: Outcomes = {
        "Ready": ("False", reason, message),
        "Reconciling": ("True" if waits else "False", reason, message),
        "Stalled": ("False", Reason.WORKING, "") if waits else ("True", reason, message),
    }
    return with_outcomes(before, generation, now, outcomes)


def with_routes(before: Status, generation: int, routed: Routed | None, now: datetime) -> Status:
    """The status with what became of the routes of a service; one without routes has no such condition."""
    if routed is None:
        if find_condition(before.conditions, "Accepted") is None:
            return before
        others = tuple(each for each in before.conditions if each.type != "Accepted")
        return before.model_copy(update={"conditions": others})
    if problems := routed.problems:
        told = "; ".join(message for _, message in problems)
        return with_outcomes(before, generation, now, {"Accepted": ("False", problems[0][0], told)})
    served = f"{' and '.join(f'gateway {name}' for name in routed.gateways)} has all its routes"
    return with_outcomes(before, generation, now, {"Accepted": ("True", Reason.ACCEPTED, served)})


def suspended(before: AnyStatus, generation: int, now: datetime) -> AnyStatus:
    """The status of an object that the controller leaves alone."""
    outcomes: Outcomes = {
        "Reconciling": ("False", Reason.SUSPENDED, "spec.suspend is true; what runs is left alone")
    }
    return with_outcomes(before, generation, now, outcomes)


def with_outcomes(before: AnyStatus, generation: int, now: datetime, outcomes: Outcomes) -> AnyStatus:
    """A status of any kind with these conditions."""
    conditions = before.conditions
    for kind, (status, reason, whole) in outcomes.items():
        # The list of waits of a thousand replicas can be longer, and so can the end of a log.
        message = whole if len(whole) <= LONGEST_MESSAGE else f"{whole[: LONGEST_MESSAGE - 1]}…"
        if _says(find_condition(conditions, kind), (status, reason, message), generation):
            continue
        state: ConditionStatus = "True" if status == "True" else "False" if status == "False" else "Unknown"
        condition = Condition(
            type=kind, status=state, reason=reason, message=message, observed_generation=generation
        )
        conditions = set_condition(conditions, condition, now)
    return before if conditions is before.conditions else before.model_copy(update={"conditions": conditions})


def _says(condition: Condition | None, outcome: tuple[str, str, str], generation: int) -> bool:
    """Whether the status is unchanged, as after most passes."""
    return (
        condition is not None
        and (condition.status, condition.reason, condition.message) == outcome
        and condition.observed_generation == generation
    )


def doing_of(plan: Plan) -> str:
    """The current activity, in a few words."""
    if plan.operations:
        more = f" and {len(plan.operations) - 1} more" if len(plan.operations) > 1 else ""
        return f"{plan.operations[0].sentence}{more}"
    return "; ".join(plan.waiting)
