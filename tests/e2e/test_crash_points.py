"""A controller that is killed at any operation leaves something that the next one goes on from, and nobody notices.

One point for each kind of operation, after it, because that is the worse side; `make chaos` tries both sides of all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.crash_points import CHANGES, KINDS, POINTS, CrashPoint, CrashStage, crash_stage
from tests.e2e.mortal import When

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]


@pytest.fixture(scope="module")
def survivor() -> Iterator[CrashStage]:
    """One stage for all of these cases."""
    with crash_stage() as stage:
        yield stage


@pytest.mark.parametrize(
    "point", [each for each in POINTS if each.when is When.AFTER], ids=lambda each: each.kind
)
def test_a_controller_that_is_killed_and_started_again(point: CrashPoint, survivor: CrashStage) -> None:
    survived = survivor.survive(point)
    assert not survived.broken, survivor.stage.story()
    assert not survived.left


def test_every_change_leads_to_an_operation_that_there_is() -> None:
    assert set(CHANGES) < set(KINDS)
    assert {point.kind for point in POINTS} == set(KINDS)
