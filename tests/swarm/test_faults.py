"""Nodes that are killed and networks that are cut, with a controller on two of three managers: never do two of them act."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from reconciler.controller.loop.election import ACT_SECONDS, LEASE_SECONDS
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.posts import Post, posts
from tests.swarm.witness import turns

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(1500)]

CUT_SECONDS = 30.0
ELECTION_SECONDS = 60.0
"""For how long Swarm may be without a leader; it takes some 10 s on a machine with nothing else to do."""
WHOLE_SECONDS = 150.0
"""For how long a Swarm may be without a node whose network is there again: its managers try at most every 120 s."""
LATE_SECONDS = 5.0
"""How much later than allowed a request may be noted, on a machine that is busy."""
MOVED_SECONDS = 300.0
"""For how long Swarm may take to move what ran on a node that is gone."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    with harsh_stage() as stage:
        yield stage


@pytest.fixture
def two(swarm: Laboratory, stage: Stage) -> Iterator[tuple[Post, Post]]:
    """The first one has made the service, and the second one stands by."""
    with posts(swarm, stage) as (one, other):
        one.start()
        one.reached("1")
        other.start(key_of=one)
        other.stands_by()
        yield one, other


def version(stage: Stage, number: int) -> str:
    """Write a manifest with this version."""
    stage.write(env={"VERSION": str(number)})
    return str(number)


def rolling_out(post: Post, stage: Stage) -> str:
    """Write the second version and wait until this controller rolls it out; returns the version."""
    before = _created(post)
    second = version(stage, 2)
    until("a rollout is under way", lambda: _created(post) > before)
    return second


def _created(post: Post) -> int:
    """How many instances it has created."""
    return sum(each.what == "POST /services/create" for each in post.witness.changes)


def test_networks_that_are_cut_make_no_two_controllers(
    swarm: Laboratory, stage: Stage, two: tuple[Post, Post]
) -> None:
    one, other = two
    # The holder's node, in the middle of a rollout: it cannot renew the lease, so it stops, and the other one goes on.
    second = rolling_out(one, stage)
    began = time.monotonic()
    with swarm.cut_off(one.node):
        other.takes_over(ELECTION_SECONDS + 2 * LEASE_SECONDS)
        assert not one.acts
        other.reached(second, MOVED_SECONDS)
        time.sleep(max(0.0, began + CUT_SECONDS - time.monotonic()))
    # Each of its calls has ended with the lease at the latest; what it has sent after that went nowhere.
    assert all(each.moment < began + LEASE_SECONDS + LATE_SECONDS for each in one.witness.changes)
    until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
    one.stands_by()
    assert turns(one.witness.changes + other.witness.changes) == ["node1", "node2"]

    # The node of the one that stands by, and the third: the holder goes on.
    for number, node in ((3, one.node), (4, swarm.nodes[2])):
        began = time.monotonic()
        with swarm.cut_off(node):
            wanted = version(stage, number)
            time.sleep(max(0.0, began + CUT_SECONDS - time.monotonic()))
        until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
        other.reached(wanted, MOVED_SECONDS)
    assert turns(one.witness.changes + other.witness.changes) == ["node1", "node2"]


def test_the_node_of_the_controller_is_killed_in_the_middle_of_a_rollout(
    swarm: Laboratory, stage: Stage, two: tuple[Post, Post]
) -> None:
    one, other = two
    second = rolling_out(one, stage)
    one.kill()
    one.node.kill()
    try:
        other.takes_over(ELECTION_SECONDS + 2 * LEASE_SECONDS)
        other.reached(second, MOVED_SECONDS)
        assert turns(one.witness.changes + other.witness.changes) == ["node1", "node2"]
    finally:
        one.node.start()
        until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)


def test_the_leader_is_killed_and_one_of_two_controllers_acts(
    swarm: Laboratory, stage: Stage, two: tuple[Post, Post]
) -> None:
    one, other = two
    said = swarm.first.docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}").splitlines()
    (leader,) = (line.split()[0] for line in said if line.endswith("Leader"))
    node = next(each for each in swarm.nodes if each.name == leader)
    survivors = [each for each in two if each.node is not node]
    gone = [each for each in two if each.node is node]
    for each in gone:
        each.signal(signal.SIGKILL)
    node.kill()
    try:
        second = version(stage, 2)
        until(
            "one of them acts",
            lambda: any(each.acts for each in survivors),
            ELECTION_SECONDS + 2 * LEASE_SECONDS,
        )
        time.sleep(ACT_SECONDS)
        until(
            "it has brought the version",
            lambda: any(each.serves(second) for each in survivors),
            MOVED_SECONDS,
        )
        assert len(turns(one.witness.changes + other.witness.changes)) <= len(two)
    finally:
        node.start()
        until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
