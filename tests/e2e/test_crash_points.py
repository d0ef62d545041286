"""A controller that is killed at any operation leaves something that the next one goes on from, and nobody notices.

One point for each kind of operation, after it, because that is the worse side; `make chaos` tries both sides of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.e2e.crash_points import CHANGES, KINDS, OF_FRONT, POINTS, CrashPoint, CrashStage, crash_stage
from tests.e2e.mortal import When

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]

WAYS: Final = {False: "port", True: "route"}


@pytest.fixture(scope="module")
def survivor(request: pytest.FixtureRequest) -> Iterator[CrashStage]:
    """One stage for all of the cases of a way."""
    with crash_stage(routed=request.param) as stage:
        yield stage


@pytest.mark.parametrize(
    ("survivor", "point"),
    [
        pytest.param(routed, point, id=f"{point.kind}-{way}")
        for routed, way in WAYS.items()
        for point in POINTS
        if point.when is When.AFTER and not (routed and point.kind in OF_FRONT)
    ],
    indirect=["survivor"],
)
def test_a_controller_that_is_killed_and_started_again(point: CrashPoint, survivor: CrashStage) -> None:
    survived = survivor.survive(point)
    assert not survived.broken, f"{survived}\n{survivor.stage.story()}"
    assert not survived.left


def test_every_change_leads_to_an_operation_that_there_is() -> None:
    assert set(CHANGES) < set(KINDS)
    assert {point.kind for point in POINTS} == set(KINDS)
    assert set(KINDS) > OF_FRONT
