"""One pass over one VaultService, from top to bottom.

It looks at the whole world, does the operations that are safe now, says what it saw, and forgets. Killed at any line, it
leaves something that the next pass can go on from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.api import Status, VaultService, find_condition
from reconciler.api.errors import PermanentError, TemporaryError, VaultError
from reconciler.controller import summary
from reconciler.controller.board import Board
from reconciler.controller.executor import execute
from reconciler.controller.journal import Journal, death_of
from reconciler.controller.target import Target, choose_target, former_good
from reconciler.core.build import project_of
from reconciler.core.health import Replica, judge_replicas
from reconciler.core.history import FORGET_AFTER, History
from reconciler.core.observed import Observed
from reconciler.core.plan import Plan
from reconciler.core.planner import plan
from reconciler.core.pool import merge
from reconciler.core.progress import Failure, judge_progress, look_in
from reconciler.core.stack import Role, Stack
from reconciler.engines.base import Engine
from reconciler.proxy.base import Proxy
from reconciler.store.base import Objects, Records, StoredObject

LOG_LINES: Final = 10
"""How much of a failed container's log goes into the event that tells of it."""

DEPENDENCY_LOOK: Final = 15.0
"""Seconds between two looks at a dependency; its turning Ready wakes us sooner."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a pass can see and change; `now` gives aware UTC datetimes, `clock` seconds for durations."""

    objects: Objects
    records: Records
    engine: Engine
    proxy: Proxy
    build: Callable[[VaultService], Stack]
    journal: Journal
    board: Board
    now: Callable[[], datetime]
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Result:
    """What a pass asks of the queue: to come again after some seconds, at once (0), or when something happens (None).

    `did` is the plan that was carried out, so that the loop can see itself going in a circle.
    """

    requeue_after: float | None = None
    converged: bool = False
    gone: bool = False
    did: str = ""


def observe(stack: Stack, engine: Engine, proxy: Proxy) -> Observed:
    """One look at everything that the stack says something about."""
    seen = engine.observe(stack)
    proxies = [c for c in seen.containers if c.role is Role.PROXY]
    return Observed(seen, proxy.observe(stack, proxies))


def remember(stack: Stack, records: Records, now: datetime) -> History:
    """What matters to a plan and cannot be seen."""
    revisions = {workload.name: workload.revisions for workload in stack.workloads}
    return History(records.deaths(stack.name, revisions, now - FORGET_AFTER))


def reconcile(name: str, world: World) -> Result:
    """Bring one VaultService a step nearer to its spec. Raises VaultError, whose kind says whether to try again."""
    stored = world.objects.get(name)
    if stored is None:
        return _gone(name, world)
    if stored.deletion:
        return _delete(stored, world)
    status = world.objects.status(name)
    if stored.service.spec.suspend:
        return _finish(stored, summary.suspended(status, _generation(stored), world.now()), world, Result())
    if unready := _unready_dependencies(stored, status, world):
        waiting = summary.waiting_for(status, _generation(stored), unready, world.now())
        return _finish(stored, waiting, world, Result(requeue_after=DEPENDENCY_LOOK))
    try:
        return _advance(stored, status, world)
    except VaultError as error:
        _fail(stored, status, error, world)
        raise


def _advance(stored: StoredObject, before: Status, world: World) -> Result:
    """Look, plan, say what was seen, do. A rollout that has failed is given up here, and the next pass goes back."""
    target = choose_target(stored.service, world.build, world.records)
    stack, now = target.stack, world.now()
    if target.is_wanted:
        world.journal.begin(stack, stored.service.spec, stored.origin.commit, now)
    observed = observe(stack, world.engine, world.proxy)
    history = remember(stack, world.records, now)
    todo = plan(stack, observed, history, now)
    replicas = judge_replicas(stack, observed.engine.containers, merge(observed.proxy.instances), now)
    failure = (
        judge_progress(stack, replicas, history, world.journal.began(stack), now)
        if target.is_wanted
        else None
    )
    if failure and _give_up(stored, stack, failure, world):
        return Result(requeue_after=0.0)
    status = _summarise(stored, target, replicas, todo, failure, before, now)
    world.objects.put_status(stored.name, status)
    world.board.saw(stored, status, stack, observed, now)
    try:
        _carry_out(stored, stack, todo, world)
    except PermanentError as error:
        # The present revision cannot even be started, for example because its image is nowhere to be found.
        if target.is_wanted and _give_up(stored, stack, Failure(_reason(error), str(error)), world):
            return Result(requeue_after=0.0)
        raise
    converged = summary.is_converged(stack, todo, status.replicas)
    if converged and target.is_wanted:
        world.journal.complete(stack, world.now())
    # Whatever was done is looked at again at once.
    again = (
        0.0
        if todo.operations
        else _soonest(todo.requeue_after, look_in(stack, world.journal.began(stack), now))
    )
    return Result(again, converged, did=str(todo) if todo.operations else "")


def _give_up(stored: StoredObject, stack: Stack, failure: Failure, world: World) -> bool:
    """Reject a revision if there is a good one to go back to; whether it was."""
    if not stack.strategy.auto_rollback:
        return False
    former = former_good(stored.service, world.build, world.records)
    if former is None or former.revision == stack.revision:
        return False
    log = _last_words(failure.container, world) if failure.container else ""
    world.journal.reject(stack, failure, log, stored.origin.commit, world.now())
    return True


def _carry_out(stored: StoredObject, stack: Stack, todo: Plan, world: World) -> None:
    words = {d.container: _last_words(d.container, world) for o in todo.operations if (d := death_of(o))}
    for call in execute(stack, todo.operations, world.engine, world.proxy, world.clock):
        world.journal.executed(stack, call, words, stored.origin.commit, world.now())
        if call.error:
            raise call.error


def _last_words(container: str, world: World) -> str:
    """The end of a container's log; what is worth telling of a failure is not worth another failure."""
    try:
        return world.engine.logs(container, LOG_LINES)
    except VaultError:
        return ""


def _summarise(
    stored: StoredObject,
    target: Target,
    replicas: tuple[Replica, ...],
    todo: Plan,
    failure: Failure | None,
    before: Status,
    now: datetime,
) -> Status:
    generation, stack = _generation(stored), target.stack
    status = summary.after_pass(before, generation, stack, summary.counts(stack, replicas), todo, now)
    if failure:
        status = summary.with_problem(status, generation, failure.reason, failure.message, now)
    if target.problem:
        status = summary.with_problem(status, generation, target.reason, target.problem, now)
    if stored.problem:
        status = summary.with_problem(status, generation, "InvalidManifest", stored.problem, now)
    return status


def _finish(stored: StoredObject, status: Status, world: World, result: Result) -> Result:
    world.objects.put_status(stored.name, status)
    world.board.waits(stored, status)
    return result


def _fail(stored: StoredObject, before: Status, error: VaultError, world: World) -> None:
    reason = type(error).__name__.removesuffix("Error")
    stalled = not isinstance(error, TemporaryError)
    status = summary.after_failure(
        before, _generation(stored), reason, str(error), world.now(), stalled=stalled
    )
    world.objects.put_status(stored.name, status)
    world.board.waits(stored, status)


def _delete(stored: StoredObject, world: World) -> Result:
    deletion = stored.deletion
    assert deletion is not None
    world.engine.tear_down(project_of(stored.name), volumes=deletion.volumes)
    world.objects.remove(stored.name)
    return _gone(stored.name, world)


def _gone(name: str, world: World) -> Result:
    world.journal.forget(name)
    world.board.forget(name)
    return Result(gone=True)


def _unready_dependencies(stored: StoredObject, status: Status, world: World) -> tuple[str, ...]:
    """The VaultServices that a change has to wait for; healing what was applied before waits for nobody."""
    if status.observed_generation == _generation(stored):
        return ()
    return tuple(name for name in stored.service.spec.depends_on if not _is_ready(world.objects.status(name)))


def _is_ready(status: Status) -> bool:
    ready = find_condition(status.conditions, "Ready")
    return ready is not None and ready.status == "True"


def _generation(stored: StoredObject) -> int:
    return stored.service.metadata.generation


def _reason(error: VaultError) -> str:
    return type(error).__name__.removesuffix("Error")


def _soonest(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)
