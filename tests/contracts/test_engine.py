"""What every engine keeps: the same tests for Docker with Compose, for Docker Swarm and for the engine in memory.

The simulation proves something about the real engine only as far as these tests hold for both.
"""

from __future__ import annotations

import gc
import inspect
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path

import pytest

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Former, Role
from reconciler.core.names import CONTROL_NET, GATEWAY, HAPROXY, VAULT_NET
from reconciler.core.plan.gateway_operations import DisconnectNetwork
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy
from reconciler.engines.base import OUTPUT_CHARACTERS, Command, Engine, FullEngine
from reconciler.engines.errors import EngineAwayError, EngineError, ImageMissingError, RefusedError
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.wiring import Options, wire
from reconciler.wiring.engines import ENGINES as CHOICES
from tests.contracts.engines import MISSED, OTHER_IMAGE, EngineWorld, Heard, engine_world

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


WORLDS = {
    "compose": [pytest.mark.docker],
    "memory": [],
    "swarm": [pytest.mark.docker, pytest.mark.turns],
}


@pytest.fixture(params=[pytest.param(name, marks=marks) for name, marks in WORLDS.items()])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineWorld]:
    with engine_world(request.param, tmp_path, lambda: request.getfixturevalue("swarm")) as world:
        yield world
    with warnings.catch_warnings():
        # Docker's library leaves sockets of failing and ended connections to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _code_of_stopped(world: EngineWorld, code: int) -> int | None:
    """What an engine tells of something that was stopped and ended with this code."""
    return code if world.habits.keeps_exit_codes else None


def _is_frozen(container: Container) -> bool:
    return container.state is State.PAUSED


def _is_running(container: Container) -> bool:
    return container.state is State.RUNNING


def _was_started_again(before: Container, container: Container) -> bool:
    return container.state is State.RUNNING and container.started != before.started


def _has_ended(container: Container) -> bool:
    return container.state is State.EXITED


def test_every_engine_that_can_be_chosen_is_held_to_the_contract() -> None:
    assert set(WORLDS) == {"memory", *CHOICES}


@pytest.mark.parametrize("name", CHOICES)
def test_every_method_is_there_with_its_parameters(name: str, tmp_path: Path) -> None:
    application = wire(Options(state_dir=tmp_path))
    application.choose_engine(name)
    _has_all_of(FullEngine, type(application.engine))


def test_every_method_of_a_pass_is_there_in_memory() -> None:
    _has_all_of(Engine, MemoryEngine)


def _has_all_of(contract: type, kind: type) -> None:
    for name, method in inspect.getmembers(contract, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(kind, name)) == inspect.signature(method), name


# Creating and starting


def test_replicas_are_created_stopped_and_become_healthy_once_started(world: EngineWorld) -> None:
    stack = world.stack()
    for _ in range(2):
        world.create(stack, "web", 2)
        created = world.seen(stack, "web")
        assert [(c.state, c.role, c.revision, c.port, c.number, c.health) for c in created] == [
            (State.CREATED, Role.WEB, stack.web[0].revision, 8000, 1, Health.NONE),
            (State.CREATED, Role.WEB, stack.web[0].revision, 8000, 2, Health.NONE),
        ], "and to repeat it creates no more"
    assert [c.name for c in created] == [f"{stack.project}-web-{n}" for n in (1, 2)]
    assert {c.image for c in created} == {world.engine.observe(stack).images[stack.web[0].image]}
    for c in created:
        assert (c.addresses, c.exit_code, c.started, c.ended, c.stopping) == ({}, None, None, None, False)
        assert (c.slot, c.joined, c.namespace) == (None, None, None)
        assert c.created.tzinfo is UTC
        assert c.created.microsecond == 0

    world.engine.start(tuple(c.id for c in created))
    assert {c.health for c in world.seen(stack, "web")} == {Health.STARTING}
    running = world.until_all(stack, "web", lambda c: c.is_ready, "both are healthy")
    assert [(c.id, c.state, c.health) for c in running] == [
        (c.id, State.RUNNING, Health.HEALTHY) for c in created
    ]
    assert [set(c.addresses) for c in running] == 2 * [stack.web[0].networks]
    assert len({c.addresses[VAULT_NET] for c in running}) == 2

    world.engine.start(tuple(c.id for c in running))
    assert [(c.id, c.addresses) for c in world.seen(stack, "web")] == [(c.id, c.addresses) for c in running]


def test_more_of_another_definition_leave_those_there_are_alone(world: EngineWorld) -> None:
    old, new = world.stack(VERSION="1"), world.stack(VERSION="2")
    before = world.run(old, "web", 2)
    world.create(new, "web", 1, existing=2)
    after = world.seen(new, "web")
    assert [c.id for c in after[:2]] == [c.id for c in before]
    assert [c.state for c in after] == [State.RUNNING, State.RUNNING, State.CREATED]
    assert [new.web[0].accepts(c.revision) for c in after] == [False, False, True]
    assert [c.number for c in after] == [1, 2, 3]

    world.create(new, "web", 1, existing=0)
    left = 1 if world.habits.removes_surplus else 3
    assert len(world.seen(new, "web")) == left, "who says that there are fewer may have the others removed"


def test_a_project_sees_only_itself(world: EngineWorld) -> None:
    world.create(world.stack(), "box")
    assert world.engine.observe(world.stack(name="-else")).containers == ()


def test_a_replica_is_created_from_what_its_tag_meant_before(world: EngineWorld) -> None:
    tag = f"{world.stack().project}-moved:1"
    world.tag(tag, "vault-reconciler/whoami:latest")
    stack = world.stack(IMAGE=tag)
    world.create(stack, "web")
    (first,) = world.seen(stack, "web")
    assert first.image == world.engine.observe(stack).images[tag]
    world.tag(tag, OTHER_IMAGE)
    world.restart_controller()
    assert world.engine.observe(stack).images[tag] not in ("", first.image)
    world.create(stack, "web", existing=1, image=first.image)
    assert [(c.image, c.revision) for c in world.seen(stack, "web")] == 2 * [(first.image, first.revision)]


def test_an_image_that_is_nowhere_is_told_and_nothing_is_created_of_it(world: EngineWorld) -> None:
    image = f"nowhere.invalid/{world.stack().project}:1"
    stack = world.stack(IMAGE=image)
    if isinstance(world.engine, MemoryEngine):
        world.engine.missing_images.add(image)
        world.engine.unpullable.add(image)
        world.engine.pull_seconds = 1.0
    seen = world.engine.observe(stack)
    assert (seen.missing_images, image in seen.images, seen.pulls) == ({image}, False, {})
    world.engine.pull(image)
    assert world.engine.observe(stack).pulls[image].running
    pull = world.until("it was tried", lambda: _ended_pull(world, image))
    assert pull == (True, True)
    with pytest.raises(ImageMissingError, match=image):
        world.engine.pull(image)
    with pytest.raises(EngineError, match=r"nowhere\.invalid"):
        world.create(stack, "web")
    assert world.engine.observe(stack).containers == ()

    world.tag(image, OTHER_IMAGE)
    world.until("it is there", lambda: image not in world.engine.observe(stack).missing_images)
    seen = world.engine.observe(stack)
    assert (seen.pulls, image in seen.images) == ({}, True)


def _ended_pull(world: EngineWorld, image: str) -> tuple[bool, bool] | None:
    pull = world.engine.observe(world.stack(IMAGE=image)).pulls[image]
    return None if pull.running else (pull.lasting, bool(pull.error))


def test_a_port_that_another_has_is_told_and_our_own_is_not(world: EngineWorld) -> None:
    stack, other = world.stack(), world.stack(name="-else")
    assert world.engine.observe(stack).taken_ports == {}
    with world.take(stack.published):
        (owner,) = world.engine.observe(stack).taken_ports.items()
        assert owner[0] == stack.published
        assert f"pid {os.getpid()}" in owner[1]
        world.create(stack, GATEWAY)
        (gateway,) = world.seen(stack, GATEWAY)
        with pytest.raises(EngineError, match="start a container"):
            world.engine.start((gateway.id,))
        assert world.seen(stack, GATEWAY)[0].state is State.CREATED
    world.engine.start((gateway.id,))
    assert world.engine.observe(stack).taken_ports == {}
    taken = world.engine.observe(other).taken_ports
    assert taken == {stack.published: f"container {gateway.name} of project {stack.project!r}"}


# Networks of other projects


def test_a_gateway_joins_the_network_of_another_project_and_leaves_it(world: EngineWorld) -> None:
    stack, other = world.stack(), world.stack(name="-else")
    name = f"{other.project}_{VAULT_NET}"
    assert world.engine.networks({name}) == frozenset()
    world.create(other, "box")
    assert world.engine.networks({name, f"{name}-not"}) == {name}
    assert world.engine.networks(()) == frozenset()

    networks = {**stack.document["networks"], name: {"name": name, "external": True}}
    joining = replace(stack, document={**stack.document, "networks": networks})
    (gateway,) = world.run(joining, GATEWAY)
    joins = ConnectNetwork.on(gateway, Cause.DETACHED, network=name, existing=1)
    leaves = DisconnectNetwork.on(gateway, Cause.SURPLUS, network=name)
    for _ in range(2):
        world.engine.connect(joining, joins)
        assert name in world.seen(joining, GATEWAY)[0].addresses
    for _ in range(2):
        world.engine.disconnect(joining, leaves)
        assert set(world.seen(joining, GATEWAY)[0].addresses) == {VAULT_NET, CONTROL_NET}

    world.engine.connect(joining, joins)
    world.engine.tear_down(other.project, volumes=True)
    assert world.engine.networks({name}) == frozenset(), "although another project was connected"
    assert set(world.seen(joining, GATEWAY)[0].addresses) == {VAULT_NET, CONTROL_NET}
    world.engine.disconnect(joining, leaves)


# HAProxy's containers


def test_a_proxy_lives_in_the_namespace_of_a_gateway_that_runs(world: EngineWorld) -> None:
    stack = world.stack()
    (gateway,) = world.run(stack, GATEWAY)
    assert set(gateway.addresses) == {VAULT_NET, CONTROL_NET}
    assert gateway.started is not None
    namespace = gateway.started
    request = CreateProxy(
        workload=HAPROXY,
        existing=0,
        slot=3,
        gateway=gateway.id,
        namespace=namespace,
        cause=Cause.MISSING,
    )
    world.engine.create(stack, (request,))
    (proxy,) = world.seen(stack, HAPROXY)
    assert (proxy.state, proxy.role, proxy.slot) == (State.CREATED, Role.PROXY, 3)
    assert (proxy.joined, proxy.namespace, proxy.addresses) == (gateway.id, namespace, {})
    assert abs(namespace - world.seen(stack, GATEWAY)[0].created) < timedelta(minutes=1)

    world.kill(gateway.id)
    with pytest.raises(EngineError, match="non running container"):
        world.engine.start((proxy.id,))
    world.engine.remove((proxy.id, gateway.id))
    world.engine.create(stack, (request,))
    (lost,) = world.seen(stack, HAPROXY)
    assert (lost.state, lost.joined) == (State.CREATED, gateway.id)
    world.engine.start((lost.id,))
    assert world.seen(stack, HAPROXY)[0].state is State.CREATED, "the engine says 404, as of one that is gone"


@pytest.mark.parametrize("key", ["network_mode", "pid", "ipc"])
def test_a_shared_namespace_belongs_to_a_container_that_runs(key: str, world: EngineWorld) -> None:
    stack = world.stack(SHARES=key)
    if not world.habits.shares_namespaces:
        with pytest.raises(RefusedError, match=rf"services\.beside\.{key}: "):
            world.create(stack, "beside")
        assert world.seen(stack, "beside") == []
        return
    with pytest.raises(EngineError, match="box"):
        world.create(stack, "beside")
    assert world.seen(stack, "beside") == []

    (box,) = world.run(stack, "box")
    (beside,) = world.run(stack, "beside")
    assert (beside.joined, beside.shared) == ((box.id, None) if key == "network_mode" else (None, (box.id,)))
    # Of the users of a namespace and its owners the times tell who was started first.
    times = [world.seen(stack, name)[0].started for name in ("box", "beside")]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0] <= times[1]

    world.kill(box.id)
    world.until_all(stack, "box", _has_ended, "the owner has ended")
    if key == "pid":
        (ended,) = world.until_all(stack, "beside", _has_ended, "it has ended with its owner")
        assert ended.exit_code == 137
    else:
        assert world.seen(stack, "beside")[0].state is State.RUNNING
        world.engine.stop((beside.id,), 5.0)
        world.until_all(stack, "beside", _has_ended, "it was stopped")
    with pytest.raises(EngineError, match=r"non running container|is not running"):
        world.engine.start((beside.id,))
    world.engine.start((box.id,))
    world.engine.start((beside.id,))
    assert world.seen(stack, "beside")[0].state is State.RUNNING


@pytest.mark.parametrize("gone", [False, True], ids=["the-network-is-there", "the-network-is-gone"])
def test_a_container_that_was_taken_off_a_network_is_connected_again(gone: bool, world: EngineWorld) -> None:
    stack = world.stack()
    (before,) = world.run(stack, GATEWAY)
    world.disconnect(stack, before.id, VAULT_NET, gone=gone)
    world.restart_controller()
    assert set(world.seen(stack, GATEWAY)[0].addresses) == {CONTROL_NET}
    request = ConnectNetwork.on(before, Cause.DETACHED, network=VAULT_NET, existing=1)
    for _ in range(2):
        world.engine.connect(stack, request)
        (after,) = world.seen(stack, GATEWAY)
        assert (after.id, set(after.addresses)) == (before.id, {CONTROL_NET, VAULT_NET})


# Ending


def test_what_was_asked_to_stop_is_stopping_until_it_is_started_again(world: EngineWorld) -> None:
    stack = world.stack()
    world.run(stack, "web")
    (web,) = world.until_all(stack, "web", lambda c: c.is_ready, "it is healthy")
    world.engine.stop((web.id,), 10)
    (stopping,) = world.seen(stack, "web")
    assert stopping.stopping
    (ended,) = world.until_all(stack, "web", _has_ended, "it has ended")
    assert (ended.id, ended.exit_code, ended.stopping) == (web.id, _code_of_stopped(world, 0), True), (
        "no death"
    )
    assert (ended.health, ended.addresses, ended.started) == (Health.NONE, {}, None)
    assert ended.ended is not None
    world.engine.start((web.id,))
    (again,) = world.until_all(stack, "web", lambda c: c.state is State.RUNNING, "it runs again")
    assert (again.exit_code, again.ended, again.stopping) == (None, None, False)


def test_several_are_stopped_side_by_side(world: EngineWorld) -> None:
    stack = world.stack()
    world.run(stack, "web", 3)
    first, *others = world.until_all(stack, "web", lambda c: c.is_ready, "all are healthy")
    world.engine.stop(tuple(each.id for each in others), 10)
    seen = {container.id: container.stopping for container in world.seen(stack, "web")}
    assert seen == {first.id: False} | {each.id: True for each in others}
    world.until(
        "both have ended",
        lambda: all(_has_ended(c) for c in world.seen(stack, "web") if c.id != first.id),
    )
    assert [c.id for c in world.seen(stack, "web") if c.is_ready] == [first.id]


def test_what_ignores_a_stop_is_killed_after_its_grace_unless_the_controller_is_gone(
    world: EngineWorld,
) -> None:
    stack = world.stack()
    (box,) = world.run(stack, "box")
    world.engine.stop((box.id,), 1)
    (ended,) = world.until_all(stack, "box", _has_ended, "it has ended")
    assert (ended.exit_code, ended.stopping) == (_code_of_stopped(world, 137), True)
    world.restart_controller()
    (seen,) = world.seen(stack, "box")
    known = world.habits.remembers_stops
    assert (seen.id, seen.stopping) == (box.id, known), "the next controller may not know who asked"


def test_a_frozen_container_is_up_and_a_stop_thaws_it(world: EngineWorld) -> None:
    stack = world.stack()
    world.run(stack, "web")
    (web,) = world.until_all(stack, "web", lambda c: c.is_ready, "it is healthy")
    world.pause(web.id)
    world.restart_controller()
    (frozen,) = world.seen(stack, "web")
    is_seen = world.habits.sees_frozen
    assert (frozen.state is State.PAUSED, frozen.addresses, frozen.is_ready) == (
        is_seen,
        web.addresses,
        not is_seen,
    )
    world.unpause(web.id)
    world.restart_controller()
    assert world.seen(stack, "web")[0].state is State.RUNNING
    world.pause(web.id)
    world.engine.stop((web.id,), 10)
    (ended,) = world.until_all(stack, "web", _has_ended, "it has ended")
    assert (ended.exit_code, ended.stopping) == (_code_of_stopped(world, 0), True), (
        "it had the time to end well"
    )


def test_what_crashes_is_restarted_until_it_is_stopped(world: EngineWorld) -> None:
    stack = world.stack(FAIL="exit")
    world.run(stack, "web")
    (web,) = world.until_all(stack, "web", lambda c: c.state is State.RESTARTING, "it crashed")
    assert (web.exit_code, web.health, web.addresses) == (1, Health.NONE, {})
    world.until_all(stack, "web", lambda c: c.state is State.RUNNING, "it was restarted")
    world.engine.stop((web.id,), 1)
    (ended,) = world.until_all(stack, "web", _has_ended, "it has ended")
    assert ended.id == web.id


def test_what_is_killed_by_hand_stays_down_or_is_started_again(world: EngineWorld) -> None:
    stack = world.stack()
    (web,) = world.run(stack, "web")
    world.kill(web.id)
    world.restart_controller()
    if world.habits.restarts_killed:
        (killed,) = world.until_all(stack, "web", lambda c: c.state is State.RESTARTING, "it was seen")
        assert (killed.id, killed.exit_code, killed.stopping) == (web.id, 137, False)
        (again,) = world.until_all(stack, "web", lambda c: c.is_ready, "it was started again")
        assert again.id == web.id
        return
    (ended,) = world.until_all(stack, "web", _has_ended, "it has ended")
    assert (ended.exit_code, ended.stopping) == (137, False)


def test_a_job_ends_by_itself_and_is_not_restarted(world: EngineWorld) -> None:
    stack = world.stack(CODE="3")
    (job,) = world.run(stack, "job")
    assert job.role is Role.JOB
    assert list(world.engine.follow(job.id, 5)) == ["one", "two"], "until it ends"
    (ended,) = world.until_all(stack, "job", _has_ended, "it has ended")
    assert (ended.exit_code, ended.stopping, ended.started) == (3, False, None)
    assert ended.ended is not None
    assert world.engine.logs(job.id, 1) == "two\n"
    assert world.engine.logs(job.id, 5) == "one\ntwo\n"


def test_what_is_gone_can_be_started_stopped_and_removed_again(world: EngineWorld) -> None:
    stack = world.stack()
    (box,) = world.run(stack, "box")
    assert world.engine.logs(box.id, 10) == ""
    for _ in range(2):
        world.engine.remove((box.id,))
        assert world.seen(stack, "box") == []
    world.engine.start((box.id,))
    world.engine.stop((box.id,), 1)
    assert world.engine.logs(box.id, 10) == ""
    assert list(world.engine.follow(box.id, 10)) == []


# Volumes


def test_a_dependency_that_is_recreated_keeps_its_volumes(world: EngineWorld) -> None:
    old, new = world.stack(GREETING="hello"), world.stack(GREETING="goodbye")
    (before,) = world.run(old, "box")
    volumes = world.mounts(before.id)
    assert set(volumes) == {"/anonymous", "/named"}
    world.engine.stop((before.id,), 0)
    world.until_all(old, "box", _has_ended, "it has ended")
    world.engine.recreate(new, "box")
    (after,) = world.seen(new, "box")
    assert (after.id == before.id) is world.habits.replaces_in_place
    assert (after.state, after.stopping, after.number) == (State.CREATED, False, 1)
    (box,) = (workload for workload in new.workloads if workload.name == "box")
    assert (box.accepts(before.revision), box.accepts(after.revision)) == (False, True)
    assert world.mounts(after.id) == volumes


@pytest.mark.parametrize("anonymous", [False, True])
def test_a_removal_takes_anonymous_volumes_if_asked_and_no_named_one(
    anonymous: bool, world: EngineWorld
) -> None:
    stack = world.stack()
    (box,) = world.run(stack, "box")
    volumes = world.mounts(box.id)
    world.engine.remove((box.id,), anonymous_volumes=anonymous)
    assert world.has_volume(volumes["/named"])
    assert world.has_volume(volumes["/anonymous"]) is not anonymous
    world.create(stack, "box")
    (another,) = world.seen(stack, "box")
    assert world.mounts(another.id)["/named"] == volumes["/named"]
    assert world.mounts(another.id)["/anonymous"] != volumes["/anonymous"]
    world.engine.remove((another.id,), anonymous_volumes=True)
    world.engine.tear_down(stack.project, volumes=True)


@pytest.mark.parametrize("volumes", [False, True])
def test_tearing_down_keeps_volumes_unless_asked(volumes: bool, world: EngineWorld) -> None:
    stack = world.stack()
    for workload in (GATEWAY, "box", "web"):
        world.run(stack, workload)
    (box,) = world.seen(stack, "box")
    mounts = world.mounts(box.id)
    for _ in range(2):
        world.engine.tear_down(stack.project, volumes=volumes)
        assert world.engine.observe(stack).containers == ()
        assert [world.has_volume(name) for name in mounts.values()] == 2 * [not volumes]
        assert world.left(stack) == ([] if volumes else [mounts["/named"]])


# Commands


def test_a_command_that_ends_well_says_nothing_and_is_gone(world: EngineWorld) -> None:
    world.engine.run_once(world.command(printed="all is well"))
    assert world.engine.observe(world.stack()).containers == ()


def test_a_command_that_fails_is_told_by_what_it_printed_or_by_its_exit_code(world: EngineWorld) -> None:
    with pytest.raises(EngineError, match=r"^line 3 is wrong$"):
        world.engine.run_once(world.command(code=1, printed="line 3 is wrong\n"))
    with pytest.raises(EngineError, match=r"^sh in haproxy:3\.0 ended with exit code 7$"):
        world.engine.run_once(world.command(code=7))


def test_long_output_of_a_command_is_cut_in_the_middle(world: EngineWorld) -> None:
    with pytest.raises(EngineError, match=r"^first\nx+ \[…\] x+\nlast$") as raised:
        world.engine.run_once(world.command(code=1, printed=f"first\n{'x' * 50_000}\nlast\n"))
    assert len(str(raised.value)) < OUTPUT_CHARACTERS + 10


def test_a_command_that_takes_too_long_is_ended(world: EngineWorld) -> None:
    with pytest.raises(EngineError, match="took longer than 1 s"):
        world.engine.run_once(world.command(seconds=60, longest=1))


# Telling


def test_an_event_tells_whose_container_has_changed(world: EngineWorld) -> None:
    stack = world.stack()
    heard = Heard(world.engine)
    heard.wait_for(MISSED)
    (web,) = world.run(stack, "web")
    heard.wait_for(stack.name)
    world.until_all(stack, "web", lambda c: c.is_ready, "it is healthy")
    before = world.seen(stack, "web")[0]
    changes: list[tuple[Callable[[str], None], Callable[[Container], bool]]] = []
    if world.habits.sees_frozen:
        changes = [(world.pause, _is_frozen), (world.unpause, _is_running)]
    changes.append(
        (world.kill, partial(_was_started_again, before) if world.habits.restarts_killed else _has_ended)
    )
    for change, is_seen in changes:
        change(web.id)
        while not is_seen(world.seen(stack, "web")[0]):
            heard.wait_for(stack.name)
    heard.end(lambda: world.engine.remove((web.id,)))


def test_an_engine_that_is_away_is_one_sentence(world: EngineWorld) -> None:
    stack = world.stack()
    with world.away() as engine:
        calls = {
            "ping": lambda: engine.ping(),
            "observe": lambda: engine.observe(stack),
            "start": lambda: engine.start(("0" * 64,)),
            "remove": lambda: engine.remove(("0" * 64,)),
            "tear_down": lambda: engine.tear_down(stack.project, volumes=True),
            "sweep": lambda: engine.sweep(),
            "logs": lambda: engine.logs("0" * 64, 1),
            "follow": lambda: list(engine.follow("0" * 64, 1)),
            "info": lambda: engine.info(),
            "run_once": lambda: engine.run_once(Command(OTHER_IMAGE, ("true",))),
            "recreate": lambda: engine.recreate(stack, "box"),
        }
        for name, call in calls.items():
            with pytest.raises(EngineAwayError):
                pytest.fail(f"{name} answered: {call()!r}")
    world.engine.ping()
    assert world.engine.observe(stack).containers == ()


def test_what_an_engine_says_of_itself(world: EngineWorld) -> None:
    info = world.engine.info()
    assert all((info.name, info.version, info.operating_system, info.data_directory))
    assert info.networks_left > 0
    assert world.engine.observe(world.stack()).capabilities == world.engine.capabilities


# Containers of an adopted project


def test_a_former_container_counts_until_there_is_one_of_the_stack(world: EngineWorld) -> None:
    """Containers of another project are observed as those of the workload whose work they do."""
    stack, other = world.stack(), world.stack("-former")
    if not world.habits.adopts:
        stack = replace(stack, former=(Former("0" * 64, "box"),))
        with pytest.raises(RefusedError, match="was adopted from a Compose project"):
            world.create(stack, "box")
        assert world.seen(stack, "box") == []
        return
    try:
        (theirs,) = world.run(other, "box")
        stack = replace(stack, former=(Former(theirs.id, "box"),))
        (seen,) = world.seen(stack, "box")
        assert (seen.id, seen.name, seen.revision) == (theirs.id, theirs.name, "")
        world.engine.stop((theirs.id,), 1.0)
        world.until_all(other, "box", _has_ended, "it has ended")
        assert world.seen(stack, "box") == [], "an outdated one that has ended is kept for the way back"
        world.create(stack, "box")
        assert [c.id == theirs.id for c in world.seen(stack, "box")] == [False]
        assert [c.id for c in world.seen(other, "box")] == [theirs.id]
    finally:
        world.engine.tear_down(other.project, volumes=True)
