"""Promises of the rollout arithmetic for any world at all; single steps are scenes in test_planner.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import Phase as Step
from hypothesis import find, given, settings
from hypothesis import strategies as st

from reconciler.core.assess.assessment import assess
from reconciler.core.assess.instance import Phase
from reconciler.core.plan.looks import CHECK_LOOK, DRAIN_LOOK
from reconciler.core.plan.operations import (
    AddServer,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    RemoveContainer,
    StopContainer,
)
from reconciler.core.plan.planner import plan
from reconciler.proxy.haproxy.front import FRONT
from tests.core.scenes import NOW, Scene, read_scene

STATES = ("running", "running", "running", "running", "created", "exited", "restarting", "paused", "dead")
HEALTH = ("", "", "", "starting", "unhealthy")
POOL = ("", "up", "up", "up", "down", "drained")


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Any number of replicas of three revisions in any state, and a budget."""
    lines = []
    for number in range(1, draw(st.integers(0, 7)) + 1):
        state = draw(st.sampled_from(STATES))
        pool = draw(st.sampled_from(POOL))
        words = [
            f"web-{number}",
            f"@{draw(st.integers(1, 3))}",
            state,
            draw(st.sampled_from(HEALTH)) if state == "running" else "",
            pool,
            f"sessions={draw(st.integers(0, 2))} since={draw(st.integers(0, 60))}",
            f"age={draw(st.integers(0, 200))}",
            draw(st.sampled_from(["", "", "", "stopping", "detached", "at=10.0.0.99:8000"])),
            draw(st.sampled_from(["", "", "old=1"])) if pool == "drained" else "",
        ]
        lines.append(" ".join(word for word in words if word))
    wish = {
        "plugin": draw(st.sampled_from(["web", "web", "plain", "single"])),
        "replicas": draw(st.integers(1, 5)),
        "surge": draw(st.sampled_from([0, 1, 2, "100%"])),
        "unavailable": draw(st.sampled_from([0, 1, "50%"])),
        "min_ready": draw(st.sampled_from([0, 5])),
        "drain": draw(st.sampled_from([0, 30])),
        "version": "2",
        "paused": draw(st.booleans()),
        "rotation": draw(st.sampled_from([None, None, {"interval": "60s"}])),
    }
    proxies = draw(st.sampled_from([1, 1, 2]))
    joined = [f"haproxy-{n} slot={n} joined=gateway-1" for n in range(1, proxies + 1)]
    return read_scene(
        f"about: anything\nwish: {json.dumps(wish | {'proxies': proxies})}\nproxies: {joined}\nweb: {lines}"
    )


def planned(scene: Scene) -> tuple[Operation, ...]:
    return plan(scene.assessment, scene.history, FRONT).operations


def _stops_a_member(scene: Scene, made: tuple[Operation, ...]) -> bool:
    return any(isinstance(o, StopContainer) and o.container[:12] in scene.assessment.members for o in made)


def _cuts(scene: Scene, made: tuple[Operation, ...]) -> bool:
    return any(isinstance(o, DeleteServer) and o.force for o in made)


def _creates(scene: Scene, made: tuple[Operation, ...]) -> bool:
    return any(isinstance(o, CreateReplicas) and o.workload == "web" for o in made)


def _takes_out_one_that_serves(scene: Scene, made: tuple[Operation, ...]) -> bool:
    taking = {replica.name for replica in scene.assessment.replicas if replica.taking_traffic}
    rolling = scene.stack.strategy.kind != "Recreate"
    return rolling and any(isinstance(o, DrainServer) and o.server in taking for o in made)


def _lets_in(scene: Scene, made: tuple[Operation, ...]) -> bool:
    return any(isinstance(o, AddServer) for o in made)


def _recreates(scene: Scene, made: tuple[Operation, ...]) -> bool:
    web = scene.stack.web[0]
    old = any(c.workload == "web" and not web.accepts(c.revision) for c in scene.observed.engine.containers)
    return scene.stack.strategy.kind == "Recreate" and old and bool(made)


@pytest.mark.parametrize(
    "happens", [_stops_a_member, _cuts, _creates, _takes_out_one_that_serves, _lets_in, _recreates]
)
def test_the_scenes_have_what_the_rules_are_about(
    happens: Callable[[Scene, tuple[Operation, ...]], bool],
) -> None:
    """A rule about something that never happens in these scenes could not be broken."""
    found = find(
        scenes(),
        lambda scene: happens(scene, planned(scene)),
        random=Random(1),
        settings=settings(max_examples=2000, deadline=None, phases=[Step.generate]),
    )
    assert happens(found, planned(found))


@settings(deadline=None)
@given(scenes())
def test_the_same_look_gives_the_same_plan(scene: Scene) -> None:
    assert plan(scene.assessment, scene.history, FRONT) == plan(scene.assessment, scene.history, FRONT)


@settings(deadline=None, max_examples=300)
@given(scenes())
def test_nothing_is_stopped_that_a_proxy_still_uses(scene: Scene) -> None:
    members = scene.assessment.members
    told: dict[str, set[str]] = {}
    for operation in planned(scene):
        if isinstance(operation, DrainServer | DeleteServer):
            told.setdefault(operation.server, set()).add(operation.kind)
        if not isinstance(operation, StopContainer | RemoveContainer) or operation.workload != "web":
            continue
        member = members.get(operation.container[:12])
        dead = isinstance(operation, RemoveContainer)
        if member is None or dead:
            continue
        # In the same plan the proxy is asked to forget it first, and refuses while there is a session.
        forgotten = told.get(operation.container[:12], set()) >= {"DrainServer", "DeleteServer"}
        assert member.draining or forgotten
        assert member.sessions == 0 or member.since >= scene.stack.strategy.drain


@settings(deadline=None, max_examples=300)
@given(scenes())
def test_sessions_are_cut_only_after_they_could_go_elsewhere(scene: Scene) -> None:
    for operation in planned(scene):
        if isinstance(operation, DeleteServer) and operation.force:
            member = scene.assessment.members[operation.server]
            assert member.draining
            assert member.since >= scene.stack.proxy.redispatch


@settings(deadline=None, max_examples=300)
@given(scenes())
def test_there_are_never_more_than_the_budget(scene: Scene) -> None:
    stack = scene.stack
    live = [
        c
        for c in scene.observed.engine.containers
        if c.workload == "web" and c.state not in ("exited", "dead", "restarting")
    ]
    created = sum(o.count for o in planned(scene) if isinstance(o, CreateReplicas) and o.workload == "web")
    surge = 0 if stack.strategy.kind == "Recreate" else stack.strategy.surge
    assert created == 0 or len(live) + created <= stack.replicas + surge


@settings(deadline=None, max_examples=300)
@given(scenes())
def test_enough_are_left_in_the_pool(scene: Scene) -> None:
    stack = scene.stack
    if stack.strategy.kind == "Recreate":
        return
    taking = {replica.name for replica in scene.assessment.replicas if replica.taking_traffic}
    gone = {o.server for o in planned(scene) if isinstance(o, DrainServer | DeleteServer)}
    floor = max(0, stack.replicas - stack.strategy.unavailable)
    assert not taking & gone or len(taking - gone) >= floor


@settings(deadline=None, max_examples=300)
@given(scenes())
def test_only_the_ready_are_let_in_and_at_their_own_address(scene: Scene) -> None:
    replicas = {replica.name: replica for replica in scene.assessment.replicas}
    for operation in planned(scene):
        if isinstance(operation, AddServer):
            replica = replicas[operation.server]
            assert replica.phase is Phase.READY
            assert operation.address == replica.address


@settings(deadline=None, max_examples=300)
@given(scenes())
def test_recreate_never_makes_a_new_one_beside_an_old_one(scene: Scene) -> None:
    if scene.stack.strategy.kind != "Recreate":
        return
    old = [
        c
        for c in scene.observed.engine.containers
        if c.workload == "web"
        and not scene.stack.web[0].accepts(c.revision)
        and c.state not in ("exited", "dead", "restarting")
    ]
    if old:
        assert not any(isinstance(o, CreateReplicas) and o.workload == "web" for o in planned(scene))


@settings(deadline=None)
@given(scenes(), st.integers(-7200, 7200))
def test_any_clock_gives_a_plan(scene: Scene, jump: int) -> None:
    made = plan(assess(scene.stack, scene.observed, NOW + timedelta(seconds=jump)), scene.history, FRONT)
    assert str(made)
    assert made.requeue_after is None or made.requeue_after == made.requeue_after


@pytest.mark.parametrize(
    ("since", "look"), [(0, DRAIN_LOOK), (2, 0.2), (20, 2.0), (60, 5.0), (3000, 5.0), (3598, 2.0)]
)
def test_what_drains_for_long_is_looked_at_less_often_and_not_after_its_deadline(
    since: int, look: float
) -> None:
    scene = read_scene(
        f"""
        about: one that is replaced has a session
        wish: {{replicas: 1, version: "2", drain: 3600}}
        web: ["web-1 @1 running drained sessions=1 since={since}", "web-2 @2 running healthy up since=4000"]
        """
    )
    assert plan(scene.assessment, scene.history, FRONT).requeue_after == pytest.approx(look)


@pytest.mark.parametrize(("since", "look"), [(0, CHECK_LOOK), (10, CHECK_LOOK), (30, 3.0), (300, 5.0)])
def test_what_does_not_pass_its_check_for_long_is_looked_at_less_often(since: int, look: float) -> None:
    scene = read_scene(
        f"""
        about: one is healthy by its own check, and down for HAProxy
        wish: {{replicas: 1}}
        web: ["web-1 @1 running healthy down since={since}"]
        """
    )
    assert plan(scene.assessment, scene.history, FRONT).requeue_after == pytest.approx(look)
