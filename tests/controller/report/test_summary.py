"""What is said about a service fits into its conditions, however much there is to say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.api import Status, find_condition
from reconciler.api.condition_types import LONGEST_MESSAGE
from reconciler.controller.report.summary import after_failure
from tests.controller.worlds import MemoryWorld
from tests.simulation.services import NAME

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("length", [1, LONGEST_MESSAGE, LONGEST_MESSAGE + 1, 10 * LONGEST_MESSAGE])
def test_a_long_message_is_cut_and_said_once(length: int) -> None:
    status = after_failure(Status(), 1, "Engine", "x" * length, NOW, stalled=True)
    stalled = find_condition(status.conditions, "Stalled")
    assert stalled is not None
    assert len(stalled.message) == min(length, LONGEST_MESSAGE)
    assert stalled.message.endswith("…") == (length > LONGEST_MESSAGE)
    assert after_failure(status, 1, "Engine", "x" * length, NOW, stalled=True) is status


def test_a_thousand_replicas_that_start_have_a_status() -> None:
    world = MemoryWorld()
    world.wish(replicas=1000, surge="100%")
    world.converge()


def test_the_next_rotation_is_told_when_it_changes_and_not_by_each_pass() -> None:
    """A proxy tells in whole seconds since when the active replica serves."""
    memory = MemoryWorld()
    memory.wish(replicas=2, rotation={"interval": "10m", "jitter": "20%", "mode": "single-active"})
    memory.converge()
    told = set()
    for _ in range(1200):
        memory.time += 0.7
        memory.once()
        if due := memory.objects.status(NAME).next_rotation:
            told.add(due)
            assert (memory.now() - due).total_seconds() < 5
    assert len(told) <= 3
