"""Two controllers on two managers of a Swarm: one acts, and the other one as soon as that cannot act any more."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from reconciler.controller.loop.election import ACT_SECONDS, LEASE_SECONDS
from tests.e2e.proof import NEW_VERSION, harsh_stage
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.posts import Post, posts
from tests.swarm.witness import Witness, turns

pytestmark = [pytest.mark.docker, pytest.mark.turns]

SLACK = 10.0
"""Seconds that a look may come late on a busy machine."""


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
        until("the other one knows who acts", lambda: f"the controller on {one.node.name}" in told(other))
        yield one, other


def told(post: Post) -> str:
    """What `vaultctl get` would show of the service: why it is not Ready."""
    path = post.state / "services" / post.stage.name / "status.json"
    return path.read_text() if path.exists() else ""


def begun(witness: Witness) -> int:
    """How many instances a controller has created."""
    return sum(each.what == "POST /services/create" for each in witness.changes)


def test_the_other_one_acts_when_the_holder_is_killed(stage: Stage, two: tuple[Post, Post]) -> None:
    one, other = two
    assert other.witness.changes == []
    one.kill()
    took = other.takes_over(LEASE_SECONDS + SLACK)
    assert took > LEASE_SECONDS - ACT_SECONDS, "it could not be sure before"
    stage.write(**NEW_VERSION)
    other.reached("2")
    assert turns(one.witness.changes + other.witness.changes) == ["node1", "node2"]


def test_a_holder_that_was_stopped_does_nothing_before_it_has_looked(
    stage: Stage, two: tuple[Post, Post]
) -> None:
    one, other = two
    before = begun(one.witness)
    stage.write(**NEW_VERSION)
    until("a rollout is under way", lambda: begun(one.witness) > before)
    one.signal(signal.SIGSTOP)
    other.takes_over(LEASE_SECONDS + SLACK)
    other.reached("2")
    count = len(one.witness.seen)
    one.signal(signal.SIGCONT)
    until("it has looked", lambda: f"the controller on {other.node.name} holds the lease" in one.log)
    # A request that was under way when it was stopped may have been sent in part.
    assert one.witness.seen[count:] == [], "not even the lease was written"
    stage.write(env={"VERSION": "3"})
    other.reached("3")
    assert turns(one.witness.changes + other.witness.changes) == ["node1", "node2"]


def test_a_controller_that_ends_gives_the_lease_back(stage: Stage, two: tuple[Post, Post]) -> None:
    one, other = two
    one.signal(signal.SIGTERM)
    assert one.process is not None
    assert one.process.wait(60) == 0, one.log
    assert other.takes_over(LEASE_SECONDS) < LEASE_SECONDS - ACT_SECONDS
    begin = time.monotonic()
    one.start()
    stage.write(**NEW_VERSION)
    other.reached("2")
    later = [each for each in one.witness.changes if each.moment > begin]
    assert later == []


def test_a_command_beside_a_controller_on_another_node_changes_nothing(
    stage: Stage, two: tuple[Post, Post]
) -> None:
    _one, other = two
    other.kill()
    stage.env["DOCKER_HOST"] = other.witness.url
    done = stage.vaultctl(
        *("--state-dir", str(other.state), "apply", "-f", str(stage.manifest), "--wait", "--timeout", "60s"),
        code=1,
    )
    assert "the controller on node1 holds the lease of the Swarm" in done.stdout + done.stderr
    assert other.witness.changes == []
