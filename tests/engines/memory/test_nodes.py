"""Nodes of an engine in memory: what happens on them is what Swarm does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.assess.observation import Health, State
from reconciler.core.desired.stack import Role, Stack
from reconciler.engines.errors import RefusedError
from reconciler.engines.memory.machine import KILLED, MemoryContainer
from reconciler.engines.memory.nodes import MOVE_SECONDS
from reconciler.engines.nodes import Availability, Drain
from tests.controller.worlds import BEGINNING, MemoryWorld

DRAIN = Drain(BEGINNING)


@pytest.fixture
def world() -> MemoryWorld:
    """Three nodes."""
    world = MemoryWorld()
    for number in (1, 2, 3):
        world.engine.nodes.add(f"n{number}")
    return world


def _on(world: MemoryWorld, node: str) -> list[MemoryContainer]:
    return [c for c in world.machine.containers.values() if c.node == node and c.role is Role.WEB]


def _health(world: MemoryWorld, stack: Stack, container: MemoryContainer) -> tuple[State, Health]:
    seen = next(c for c in world.engine.observe(stack).containers if c.id == container.id)
    return seen.state, seen.health


def test_instances_are_spread_and_the_front_door_stays(world: MemoryWorld) -> None:
    world.wish(replicas=3)
    world.converge()
    assert [len(_on(world, f"n{number}")) for number in (1, 2, 3)] == [1, 1, 1]
    front = [c for c in world.machine.containers.values() if c.role in (Role.GATEWAY, Role.PROXY)]
    assert {c.node for c in front} == {"n1"}


def test_what_was_on_a_lost_node_is_moved_after_a_while(world: MemoryWorld) -> None:
    stack = world.wish(replicas=3)
    world.converge()
    (lost,) = _on(world, "n2")
    before = dict(lost.addresses)
    world.engine.nodes.lose("n2")
    assert _health(world, stack, lost) == (State.RUNNING, Health.UNHEALTHY)
    assert world.machine.answers(f"{before['vault-net']}:{lost.port}")[0] is False
    world.time += MOVE_SECONDS
    assert _health(world, stack, lost) == (State.RUNNING, Health.STARTING)
    assert lost.node in ("n1", "n3")


def test_one_that_is_back_in_time_has_lost_nothing(world: MemoryWorld) -> None:
    stack = world.wish(replicas=3)
    world.converge()
    (lost,) = _on(world, "n2")
    world.engine.nodes.lose("n2")
    world.time += MOVE_SECONDS - 1
    world.engine.nodes.find("n2")
    world.time += 5
    assert _health(world, stack, lost) == (State.RUNNING, Health.HEALTHY)
    assert lost.node == "n2"


def test_what_no_node_takes_waits(world: MemoryWorld) -> None:
    stack = world.wish(plugin="stateful", replicas=1)
    world.converge()
    database = next(c for c in world.machine.containers.values() if c.workload == "database")
    world.engine.nodes.lose(database.node)
    world.time += MOVE_SECONDS
    assert _health(world, stack, database) == (State.RUNNING, Health.STARTING)
    assert database.is_pending
    for node in world.engine.nodes.all():
        world.engine.nodes.find(node.name)
    world.time += 4
    assert _health(world, stack, database)[1] is Health.HEALTHY


@pytest.mark.parametrize("away", [MOVE_SECONDS - 1, MOVE_SECONDS + 1])
def test_a_job_on_a_lost_node_is_not_started_elsewhere(world: MemoryWorld, away: float) -> None:
    stack = world.wish(plugin="stateful", replicas=1, job="slow")
    while not (jobs := [c for c in world.machine.containers.values() if c.role is Role.JOB and c.is_up]):
        world.once()
        world.time += 0.5
    (job,) = jobs
    node, others = job.node, [c for c in world.machine.containers.values() if c is not job]
    world.engine.nodes.lose(node)
    world.time += away
    assert _health(world, stack, job) == (State.RUNNING, Health.UNHEALTHY)
    assert job.node == node
    world.engine.nodes.find(node)
    is_given_up = away > MOVE_SECONDS
    assert _health(world, stack, job)[0] is (State.EXITED if is_given_up else State.RUNNING)
    assert not is_given_up or job.exit_code == KILLED
    assert all(other.role is not Role.JOB for other in others)


def test_a_job_on_a_lost_node_has_not_ended_when_it_is_stopped(world: MemoryWorld) -> None:
    stack = world.wish(plugin="stateful", replicas=1, job="slow")
    while not (jobs := [c for c in world.machine.containers.values() if c.role is Role.JOB and c.is_up]):
        world.once()
        world.time += 0.5
    (job,) = jobs
    world.engine.nodes.lose(job.node)
    world.engine.stop((job.id,), 10.0)
    world.time += MOVE_SECONDS + 60
    (seen,) = (c for c in world.engine.observe(stack).containers if c.id == job.id)
    assert (seen.state, seen.stopping) == (State.RUNNING, True)
    world.engine.nodes.find(job.node)
    assert _health(world, stack, job)[0] is State.EXITED


def test_a_job_that_ended_on_a_lost_node_is_seen_when_that_is_back(world: MemoryWorld) -> None:
    stack = world.wish(plugin="stateful", replicas=1)
    while not (jobs := [c for c in world.machine.containers.values() if c.role is Role.JOB and c.is_up]):
        world.once()
        world.time += 0.1
    (job,) = jobs
    for _ in range(2):
        # The second time it is no news.
        world.engine.nodes.lose(job.node)
    world.time += MOVE_SECONDS + 60
    assert _health(world, stack, job)[0] is State.RUNNING
    world.engine.nodes.find(job.node)
    assert _health(world, stack, job)[0] is State.EXITED
    assert job.exit_code == 0


def test_without_a_leader_nothing_is_started_elsewhere(world: MemoryWorld) -> None:
    stack = world.wish(replicas=3)
    world.converge()
    (lost,) = _on(world, "n2")
    world.engine.nodes.lose("n2")
    world.engine.nodes.is_led = False
    world.time += MOVE_SECONDS
    assert _health(world, stack, lost) == (State.RUNNING, Health.STARTING)
    assert lost.is_pending
    world.engine.nodes.is_led = True
    world.time += 4
    assert _health(world, stack, lost) == (State.RUNNING, Health.HEALTHY)


def test_draining_moves_all_but_what_is_pinned_within_the_budget(world: MemoryWorld) -> None:
    stack = world.wish(plugin="stateful", replicas=3)
    world.converge()
    database = next(c for c in world.machine.containers.values() if c.workload == "database")
    leaving = {c.id for c in _on(world, database.node)}
    world.engine.nodes.change(database.node, Availability.PAUSE, DRAIN)
    fewest = 3
    for _ in range(200):
        result = world.once()
        serving = world.objects.status("files").replicas.serving
        fewest = min(fewest, serving)
        if result.converged:
            break
        world.time += 0.5
    assert fewest == 3, "a replica left before another one served"
    assert not leaving & {c.id for c in world.machine.containers.values()}
    left = [each.name for each in world.engine.nodes.placed() if each.node == database.node and each.is_up]
    assert left == [database.name]
    assert world.engine.observe(stack).drained == {database.node}
    assert result.drains


def test_one_node_has_nowhere_to_go() -> None:
    world = MemoryWorld()
    world.engine.nodes.add("only")
    with pytest.raises(RefusedError, match="this engine has one node"):
        world.engine.nodes.change("only", Availability.PAUSE, replace(DRAIN, since=BEGINNING + timedelta(1)))


def test_what_is_asked_of_a_node_is_no_drift(world: MemoryWorld) -> None:
    world.wish(replicas=3, drift="warn")
    world.converge()
    (leaving,) = _on(world, "n2")
    world.engine.nodes.change("n2", Availability.PAUSE, DRAIN)
    world.converge()
    assert leaving.id not in world.machine.containers
    assert not _on(world, "n2")
