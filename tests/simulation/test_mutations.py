"""The invariants bite: each of these mistakes, put into the planner by hand, is found within a thousand histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.controller.reconcile import service
from reconciler.core.assess import assessment, health, namespaces, pool
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.observation import Observation
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.plan import dependencies, leaving, membership, planner, retiring, rollout
from reconciler.core.plan.operations import CreateReplicas, RemoveContainer, Step
from reconciler.core.plan.strategies import Decision
from reconciler.core.plan.strategies import decide as _decide
from reconciler.proxy.haproxy import steps
from tests.simulation.many import quietly
from tests.simulation.simulation import live_through
from tests.simulation.story import violates

SEEDS = range(500, 1500)
"""A thousand histories find each of them more than once; from here on the rare ones come soon."""

Mutate = Callable[[pytest.MonkeyPatch], None]

_retire = retiring.retire
_create = rollout._create
_cause = leaving._cause
_member = pool._member
_judge = health.judge
_change = dependencies._change
_complete = dependencies._complete
_plan_web = rollout.plan_web
_plan_dependencies = dependencies.plan_dependencies
_plan_job = dependencies.plan_job  # type: ignore[attr-defined]
_judge_progress = service.judge_progress  # type: ignore[attr-defined]


def one_too_few_serve(patch: pytest.MonkeyPatch) -> None:
    def decide(seen: assessment.Assessment) -> Decision:
        return replace(decision := _decide(seen), floor=decision.floor - 1)

    patch.setattr(planner, "decide", decide)


def one_too_many_live(patch: pytest.MonkeyPatch) -> None:
    def decide(seen: assessment.Assessment) -> Decision:
        return replace(_decide(seen), surge=seen.stack.strategy.surge + 1)

    patch.setattr(planner, "decide", decide)


def nobody_waits_for_sessions(patch: pytest.MonkeyPatch) -> None:
    def retire(pool: Any, leavers: Any) -> Iterator[Any]:
        for replica, cause in leavers.items():
            if replica.draining and replica.phase is not Phase.CREATED:
                yield retiring._stop(replica, cause)
            else:
                yield from _retire(pool, {replica: cause})

    patch.setattr(rollout, "retire", retire)


def nobody_drains(patch: pytest.MonkeyPatch) -> None:
    def retire(pool: Any, leavers: Any) -> Iterator[Any]:
        for replica, cause in leavers.items():
            if replica.phase is Phase.CREATED:
                yield retiring._remove(replica, cause)
            else:
                yield retiring._stop(replica, cause)

    patch.setattr(rollout, "retire", retire)


def old_workers_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        pool,
        "_member",
        lambda name, views, current, listening: _member(name, current or views, current, listening),
    )


def one_proxy_speaks_for_both(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        assessment, "merge", lambda instances: pool.merge([i for i in instances if i.answering][:1])
    )


def the_file_forgets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rollout, "servers_of", lambda pool, kept, steps: {})


def the_file_is_never_written_again(patch: pytest.MonkeyPatch) -> None:
    configuration = steps._configuration
    patch.setattr(
        steps,
        "_configuration",
        lambda observed, *wanted: [] if observed.proxy.written else configuration(observed, *wanted),
    )


def dead_servers_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rollout, "forget_servers", lambda pool: iter(()))


def dead_servers_go_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retiring, "_is_deserted", lambda member, stack: True)


def the_ill_are_kept(patch: pytest.MonkeyPatch) -> None:
    def cause(stack: Stack, replica: health.Replica, kept_on: Any) -> Any:
        return (
            None if replica.current and replica.phase is Phase.UNHEALTHY else _cause(stack, replica, kept_on)
        )

    patch.setattr(leaving, "_cause", cause)


def the_old_proxy_goes_first(patch: pytest.MonkeyPatch) -> None:
    def end_superseded(proxies: steps._Proxies) -> Iterator[Any]:
        for container in proxies._running:
            if container not in proxies._fit:
                yield steps._stop(container, proxies._workload, Cause.OUTDATED)

    patch.setattr(steps._Proxies, "_end_superseded", end_superseded)


def nothing_is_held(patch: pytest.MonkeyPatch) -> None:
    def plan_dependencies(
        seen: assessment.Assessment, *known: Any, **named: Any
    ) -> dependencies.DependencyStep:
        return replace(_plan_dependencies(replace(seen, members={}), *known, **named), hold=False)

    patch.setattr(planner, "plan_dependencies", plan_dependencies)


def requests_are_let_in_too_soon(patch: pytest.MonkeyPatch) -> None:
    def plan_web(seen: assessment.Assessment, *known: Any, hold: bool, **_: bool) -> rollout.WebStep:
        return _plan_web(seen, *known, may_start=True, may_serve=True, hold=hold)

    patch.setattr(planner, "plan_web", plan_web)


def orphans_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "plan_orphans", lambda seen: Step())


def a_second_database(patch: pytest.MonkeyPatch) -> None:
    def change(_: Any, workload: Any, changing: Any) -> Iterator[Any]:
        yield CreateReplicas(workload=workload.name, count=1, existing=len(changing), cause=Cause.OUTDATED)

    patch.setattr(dependencies, "_change", change)


def order_decides(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Observation, "containers", property(lambda observed: observed.engine.containers))


def the_wall_decides_over_proxies(patch: pytest.MonkeyPatch) -> None:
    """What the planner once did: a HAProxy that seems to be in a namespace of the past is stopped on the spot."""
    operations = steps._Proxies.operations

    def stop_at_once(proxies: steps._Proxies, blocked: str) -> Iterator[Any]:
        for container in proxies._running:
            gateway = proxies._gateways.get(container.joined or "")
            if gateway is None or (
                gateway.started and container.started and gateway.started > container.started
            ):
                yield steps._stop(container, proxies._workload, Cause.DETACHED)
        yield from operations(proxies, blocked)

    patch.setattr(steps._Proxies, "operations", stop_at_once)


def the_wish_for_fresh_ones_is_not_heard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(health, "judge", lambda *known: _judge(*(*known[:5], None, *known[6:])))


def a_deleted_pod_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(health, "judge", lambda *known: _judge(*(*known[:-2], (), known[-1])))


def nobody_takes_turns(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(membership, "_next_active", lambda assessment, ready: (ready, []))


def images_come_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "lacking", lambda assessment, decision: frozenset())


def anonymous_volumes_stay(patch: pytest.MonkeyPatch) -> None:
    def remove(replica: health.Replica, cause: Cause) -> RemoveContainer:
        return RemoveContainer.on(replica.container, cause)

    patch.setattr(retiring, "_remove", remove)


def the_pool_is_emptied_for_a_job(patch: pytest.MonkeyPatch) -> None:
    def plan_dependencies(
        seen: assessment.Assessment, *known: Any, **named: Any
    ) -> dependencies.DependencyStep:
        step = _plan_dependencies(seen, *known, **named)
        pending = any(not seen.is_complete(job) for job in seen.stack.of(Role.JOB))
        return replace(step, hold=step.hold or pending)

    patch.setattr(planner, "plan_dependencies", plan_dependencies)


def new_replicas_do_not_wait_for_a_job(patch: pytest.MonkeyPatch) -> None:
    def plan_dependencies(
        seen: assessment.Assessment, *known: Any, **named: Any
    ) -> dependencies.DependencyStep:
        step = _plan_dependencies(seen, *known, **named)
        return replace(step, may_start=step.may_serve)

    patch.setattr(planner, "plan_dependencies", plan_dependencies)


def what_a_job_has_done_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stack, "with_done", lambda stack, is_done: stack)


def a_second_run_beside_the_first(patch: pytest.MonkeyPatch) -> None:
    def plan_job(workload: Any, instances: Any, *known: Any) -> Iterator[Any]:
        yield from _plan_job(workload, [i for i in instances if i.current], *known)

    patch.setattr(dependencies, "plan_job", plan_job)


def only_web_replicas_are_judged(patch: pytest.MonkeyPatch) -> None:
    def judge_progress(seen: assessment.Assessment, *known: Any) -> Any:
        web = tuple(w for w in seen.stack.workloads if w.role not in (Role.DEPENDENCY, Role.JOB))
        return _judge_progress(replace(seen, stack=replace(seen.stack, workloads=web), others=()), *known)

    patch.setattr(service, "judge_progress", judge_progress)


def workers_are_never_started(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(assessment.Assessment, "relied_on", 0)


def tags_are_followed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rollout, "kept_image", lambda engine, workload, containers: "")


def a_restarted_owner_is_not_followed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(namespaces, "_is_since", lambda *known: True)


def a_replaced_owner_is_not_followed(patch: pytest.MonkeyPatch) -> None:
    for module in (assessment, health):
        patch.setattr(module, "lost_namespace", lambda *known: "")


MUTATIONS: tuple[Mutate, ...] = (
    the_pool_is_emptied_for_a_job,
    new_replicas_do_not_wait_for_a_job,
    what_a_job_has_done_is_forgotten,
    a_second_run_beside_the_first,
    only_web_replicas_are_judged,
    workers_are_never_started,
    one_too_few_serve,
    one_too_many_live,
    nobody_waits_for_sessions,
    nobody_drains,
    old_workers_are_forgotten,
    one_proxy_speaks_for_both,
    the_file_forgets,
    the_file_is_never_written_again,
    dead_servers_stay,
    dead_servers_go_at_once,
    the_ill_are_kept,
    the_old_proxy_goes_first,
    nothing_is_held,
    requests_are_let_in_too_soon,
    orphans_stay,
    a_second_database,
    order_decides,
    the_wall_decides_over_proxies,
    the_wish_for_fresh_ones_is_not_heard,
    a_deleted_pod_stays,
    nobody_takes_turns,
    images_come_last,
    anonymous_volumes_stay,
    tags_are_followed,
    a_restarted_owner_is_not_followed,
    a_replaced_owner_is_not_followed,
)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__.replace("_", " "))
def test_each_is_caught(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with quietly():
        for seed in SEEDS:
            if violates(live_through, seed):
                return
    pytest.fail(f"{len(SEEDS)} histories went by and nobody noticed")
