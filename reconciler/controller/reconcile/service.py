"""One pass over one VaultService, from top to bottom.

It observes everything, does the operations that are safe now, reports, and keeps no state. If it is killed at any line, the
next pass continues from the observed state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler.api import Status, find_condition
from reconciler.api.errors import PermanentError, TemporaryError, VaultError
from reconciler.api.reasons import Reason
from reconciler.controller.reconcile import drift
from reconciler.controller.reconcile.compose_project import with_content
from reconciler.controller.reconcile.executor import execute
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.target import Target, choose_target, former_good
from reconciler.controller.reconcile.world import World, preview_of
from reconciler.controller.report import summary
from reconciler.controller.report.journal import death_of
from reconciler.core.assess.progress import Failure, judge_progress, look_in
from reconciler.core.desired.build import project_of
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.preview import Preview
from reconciler.store.base import StoredObject, UnreadableError

LOG_LINES: Final = 10
"""How much of a failed container's log goes into its event."""

GATEWAY_LOOK: Final = 15.0
"""Seconds between two looks whether a gateway leads requests to a service; its pass wakes the service sooner."""

WITHDRAWAL_LOOK: Final = 0.5
"""Seconds between two looks at the sessions of a service that is being deleted."""

DEPENDENCY_LOOK: Final = 15.0
"""Seconds between two checks of a dependency; its Ready event usually triggers a pass sooner."""


def reconcile(name: str, world: World) -> Result:
    """Run one pass over a VaultService. Raises VaultError, whose type says whether to try again."""
    try:
        stored = world.objects.get(name)
    except UnreadableError as error:
        if kept := world.objects.kept(name):
            _fail(kept, world.objects.status(name), error, world)
        raise
    if stored is None:
        return _gone(name, world)
    if stored.deletion:
        return _delete(stored, world, volumes=stored.deletion.volumes)
    status = world.objects.status(name)
    if stored.resource.spec.suspend:
        return _rest(stored, summary.suspended(status, stored.generation, world.now()), world)
    if unready := _unready_dependencies(stored, status, world):
        waiting = summary.waiting_for(status, stored.generation, unready, world.now())
        return _rest(stored, waiting, world, DEPENDENCY_LOOK)
    try:
        return _advance(stored, status, world)
    except VaultError as error:
        _fail(stored, status, error, world)
        raise


def _advance(stored: StoredObject, before: Status, world: World) -> Result:
    """Observe, report, execute. A failed rollout is rejected here, and the next pass rolls back."""
    target = choose_target(stored.resource, world.build, world.rebuild, world.records)
    if stored.evicted:
        target = replace(target, stack=replace(target.stack, evicted=frozenset(stored.evicted)))
    if closed := _closed(target.stack, world):
        return _wait_for_gateway(stored, before, target.stack, closed, world)
    is_new = world.records.newest(stored.name) is None
    if target.stack.is_stopped:
        world.journal.interrupt(target.stack, world.now())
    elif target.is_wanted:
        spec = with_content(stored.resource.spec, target.stack.content)
        world.journal.begin(target.stack, spec, stored.origin.commit, world.now())
    preview = preview_of(target.stack, world.engine, world.proxy, world.records, world.now())
    if is_new and preview.assessment.pool.current and not preview.stack.former:
        world.journal.history_missing(preview.stack, world.now())
    world.journal.completed(preview.assessment)
    failure = _failure(target, preview, world)
    if failure:
        obstacle = _give_up(stored, preview, failure, world)
        if not obstacle:
            return Result(requeue_after=0.0)
        failure = replace(failure, message=f"{failure.message}; {obstacle}")
    if drift.is_to_be_left(stored, before, preview):
        return _rest(stored, drift.report(stored, before, preview, world.journal), world, preview=preview)

    status = _summarise(stored, before, target, preview, failure, world)
    _put_status(stored, status, world, before)
    world.board.saw(stored, status, preview)
    world.journal.noticed(preview.assessment)
    try:
        _carry_out(stored, preview, world)
    except PermanentError as error:
        # This revision cannot even be started, for example because its image does not exist.
        given_up = Failure(error.reason, str(error))
        is_rollout = target.is_wanted and not preview.stack.is_stopped
        if is_rollout and not _give_up(stored, preview, given_up, world):
            return Result(requeue_after=0.0)
        raise
    converged = summary.is_converged(preview, status.replicas)
    if converged:
        world.secret_files.tidy(preview.stack)
    if converged and target.is_wanted:
        world.journal.complete(preview.stack, world.now())
    return Result(
        _again(preview, world),
        converged,
        did=str(preview.plan) if preview.plan else "",
        drains=bool(preview.assessment.observed.engine.drained) and not preview.plan,
    )


def _failure(target: Target, preview: Preview, world: World) -> Failure | None:
    """Why the current rollout has failed, if it has. A rollback is not judged: there is nothing to roll back to."""
    if not target.is_wanted:
        return None
    began = world.journal.began(preview.stack)
    return judge_progress(preview.assessment, preview.history, began)


def _give_up(stored: StoredObject, preview: Preview, failure: Failure, world: World) -> str:
    """Reject a revision if there is a good one to roll back to; else return why not."""
    if not preview.stack.strategy.auto_rollback:
        return "strategy.autoRollback is false, so nothing is rolled back"
    former = former_good(stored.resource, world.rebuild, world.records)
    if former is None:
        return "there is no earlier revision to go back to"
    if former.revision == preview.stack.revision:
        return "the last good spec comes to this revision too: its plugin or a file that it reads has changed since"
    log = _last_words(failure.container, world) if failure.container else ""
    world.journal.reject(preview.stack, failure, log, stored.origin.commit, world.now())
    return ""


def _carry_out(stored: StoredObject, preview: Preview, world: World) -> None:
    operations = preview.plan.operations
    if operations:
        # Containers that are created or started now mount them; after a reboot they are gone.
        world.secret_files.provide(preview.stack)
    words = {d.container: _last_words(d.container, world) for o in operations if (d := death_of(o))}
    for call in execute(preview.stack, operations, world.engine, world.proxy, world.clock, world.require):
        world.journal.executed(preview.stack, call, words, stored.origin.commit, world.now())
        if call.error:
            raise call.error


def _last_words(container: str, world: World) -> str:
    """The end of a container's log; "" if it cannot be read, so that reporting a failure causes no other one."""
    try:
        return world.engine.logs(container, LOG_LINES)
    except VaultError:
        return ""


def _again(preview: Preview, world: World) -> float | None:
    """When to run the next pass without an event: at once after operations, else when a deadline can have passed."""
    if preview.plan:
        return 0.0
    deadline = look_in(preview.stack, world.journal.began(preview.stack), preview.now)
    return min((each for each in (preview.plan.requeue_after, deadline) if each is not None), default=None)


def _summarise(
    stored: StoredObject,
    before: Status,
    target: Target,
    preview: Preview,
    failure: Failure | None,
    world: World,
) -> Status:
    generation, now = stored.generation, preview.now
    status = summary.after_pass(before, stored, preview)
    status = summary.with_routes(status, generation, preview.stack.routed, now)
    if failure:
        words = _last_words(failure.container, world) if failure.container else ""
        status = summary.with_problem(status, generation, failure.reason, failure.message, now, words)
    if target.problem:
        status = summary.with_problem(status, generation, target.reason, target.problem, now, target.evidence)
    if stored.problem:
        tell = summary.with_problem if stored.problem_reason == Reason.INVALID_MANIFEST else summary.held_back
        status = tell(status, generation, stored.problem_reason, stored.problem, now)
    return status


def _rest(
    stored: StoredObject,
    status: Status,
    world: World,
    again: float | None = None,
    preview: Preview | None = None,
) -> Result:
    """End a pass that must not change anything."""
    _put_status(stored, status, world)
    if preview is None:
        world.board.waits(stored, status)
    else:
        world.board.saw(stored, status, preview)
    return Result(requeue_after=again)


def _put_status(stored: StoredObject, status: Status, world: World, before: Status | None = None) -> None:
    """Store the status that this pass observed, for the generation and request that it started with; most find it as it
    was `before`.
    """
    if status.last_handled_reconcile_at != stored.requested_at:
        status = status.model_copy(update={"last_handled_reconcile_at": stored.requested_at})
    if status is not before:
        world.objects.put_status(stored.name, status)


def _fail(stored: StoredObject, before: Status, error: VaultError, world: World) -> None:
    stalled = not isinstance(error, TemporaryError)
    status = summary.after_failure(
        before, stored.generation, error.reason, str(error), world.now(), stalled=stalled
    )
    _rest(stored, status, world)


def _closed(stack: Stack, world: World) -> tuple[Reason, str] | None:
    """Why no gateway leads requests to a stack with routes. One whose routes are partly refused, or that has some of its
    pools, serves with these.
    """
    if stack.routed is None:
        return None
    if not stack.routed.grants and (problems := stack.routed.problems):
        return problems[0][0], "; ".join(text for _, text in problems)
    closed = world.proxy.closed(stack)
    return (Reason.WAITING_FOR_GATEWAY, closed) if closed else None


def _wait_for_gateway(
    stored: StoredObject, before: Status, stack: Stack, closed: tuple[Reason, str], world: World
) -> Result:
    """Nothing new is started for requests that do not come; what runs is left alone."""
    now = world.now()
    status = summary.without_gateway(before, stored.generation, *closed, now)
    status = summary.with_routes(status, stored.generation, stack.routed, now)
    world.journal.told(stack, now)
    return _rest(stored, status, world, GATEWAY_LOOK)


def _delete(stored: StoredObject, world: World, *, volumes: bool) -> Result:
    world.require()
    deletion, drain = stored.deletion, stored.resource.spec.strategy.drain_seconds
    overdue = deletion is None or (world.now() - deletion.requested_at).total_seconds() >= drain
    if world.proxy.withdraw(stored.name, force=overdue):
        return Result(requeue_after=WITHDRAWAL_LOOK)
    world.engine.tear_down(project_of(stored.name), volumes=volumes)
    world.secret_files.forget(stored.name)
    world.objects.remove(stored.name)
    return _gone(stored.name, world)


def _gone(name: str, world: World) -> Result:
    world.journal.forget(name)
    world.board.forget(name)
    return Result(gone=True)


def _unready_dependencies(stored: StoredObject, status: Status, world: World) -> tuple[str, ...]:
    """The VaultServices that a change has to wait for; healing the revision that was applied before does not wait, nor does
    a stop.
    """
    if status.observed_generation == stored.generation or stored.resource.spec.is_stopped:
        return ()
    return tuple(
        name for name in stored.resource.spec.depends_on if not _is_ready(world.objects.status(name))
    )


def _is_ready(status: Status) -> bool:
    """Whether others can rely on a service: one that is stopped is as its spec wants it, and serves nothing."""
    ready = find_condition(status.conditions, "Ready")
    return ready is not None and ready.status == "True" and ready.reason != Reason.STOPPED
