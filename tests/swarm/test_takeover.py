"""Another controller takes over while requests come in on the other nodes, through a gateway on all of them.

Each controller has a state directory of its own, so the second one has the agents enrolled again, by its own authority.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from reconciler.api import find_condition
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.controller.loop.election import LEASE_SECONDS
from reconciler.wiring import Options, wire
from tests.chaos.machines import CONTROLLER_CUT, CONTROLLER_DIES, tell
from tests.e2e.load import CALM_SECONDS
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import VAULTCTL, Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.posts import Post, posts
from tests.swarm.test_faults import ELECTION_SECONDS, MOVED_SECONDS, WHOLE_SECONDS, rolling_out
from tests.swarm.test_ways_in import under_load
from tests.swarm.ways_in import AGENT_IMAGE, FIRST_SECONDS, removed_afterwards
from tests.swarm.witness import turns

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(900)]

CUT_SECONDS: Final = 30.0


@pytest.fixture
def stage() -> Iterator[Stage]:
    with harsh_stage(routed=True, gateway={"nodeSelector": {}}) as stage:
        stage.env["VAULT_AGENT_IMAGE"] = AGENT_IMAGE
        yield stage


@pytest.fixture
def two(swarm: Laboratory, stage: Stage) -> Iterator[tuple[Post, Post]]:
    """The first one has made the service and its gateway on all nodes, and the second one stands by."""
    swarm.load(AGENT_IMAGE)
    with posts(swarm, stage) as (one, other), swarm.nodes[-1].entered(), removed_afterwards(swarm, stage):
        try:
            stage.env["VAULT_AGENTS"] = f"{one.node.address}:9444"
            one.start()
            one.reached("1", FIRST_SECONDS)
            until("the gateway is ready", lambda: _gateway_ready(one, stage), FIRST_SECONDS)
            stage.env["VAULT_AGENTS"] = f"{other.node.address}:9444"
            # Its clock is right: agents take no certificate of the future.
            other.command = VAULTCTL
            other.start(key_of=one)
            other.stands_by()
            yield one, other
        finally:
            for post in (one, other):
                post.kill()


def test_the_node_of_the_controller_dies_in_a_rollout(
    swarm: Laboratory, stage: Stage, two: tuple[Post, Post]
) -> None:
    one, other = two
    with under_load(stage, swarm.nodes[1:]) as load:
        second = rolling_out(one, stage)
        killed = time.monotonic()
        one.kill()
        one.node.kill()
        try:
            healed = _well_again(other, second)
            time.sleep(CALM_SECONDS)
        finally:
            one.node.start()
            until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
    assert turns(one.witness.changes + other.witness.changes) == ["node1", "node2"]
    tell(CONTROLLER_DIES, load, stage, harm=killed, healed=healed)


def test_the_node_of_the_controller_is_cut_off_in_a_rollout(
    swarm: Laboratory, stage: Stage, two: tuple[Post, Post]
) -> None:
    one, other = two
    with under_load(stage, swarm.nodes[1:]) as load:
        second = rolling_out(one, stage)
        cut = time.monotonic()
        with swarm.cut_off(one.node):
            time.sleep(CUT_SECONDS)
        over = time.monotonic()
        until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
        acting = one if one.acts and not other.acts else other
        healed = _well_again(acting, second)
        time.sleep(CALM_SECONDS)
    assert len(turns(one.witness.changes + other.witness.changes)) <= 2
    tell(CONTROLLER_CUT, load, stage, harm=cut, over=over, healed=healed)


def _well_again(post: Post, version: str) -> float:
    """Wait until this controller has brought the version; returns the time."""
    until(f"{post.node.name} acts", lambda: post.acts, ELECTION_SECONDS + 2 * LEASE_SECONDS)
    post.reached(version, MOVED_SECONDS)
    return time.monotonic()


def _gateway_ready(post: Post, stage: Stage) -> bool:
    status = wire(Options(post.state)).objects.of(VAULT_GATEWAY).status(stage.gateway)
    ready = find_condition(status.conditions, "Ready")
    return ready is not None and ready.status == "True"
