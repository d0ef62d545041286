"""No history on several nodes breaks a promise; ON_NODES=n lives through more or fewer of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.core.assess import health
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.instance import ENDING
from reconciler.core.plan import leaving
from tests.simulation.many import quietly
from tests.simulation.nodes import OnNodes
from tests.simulation.simulation import run
from tests.simulation.story import violates

HISTORIES = int(os.environ.get("ON_NODES", "150"))

pytestmark = pytest.mark.promise


def live_through(seed: int) -> OnNodes:
    simulation = OnNodes(seed)
    run(simulation, f"seed {seed}")
    return simulation


@pytest.mark.long
@pytest.mark.timeout(0)
def test_no_history_on_several_nodes_breaks_a_promise() -> None:
    with quietly():
        lived = [live_through(seed) for seed in range(HISTORIES)]
    assert sum(each.moves for each in lived) > HISTORIES // 2
    assert sum(each.drained for each in lived) > HISTORIES // 4


def all_at_once(*arguments: Any, real: Callable[..., Any] = leaving.leaving) -> Any:
    """What is to move leaves whether others serve or not."""
    assessment = arguments[0]
    found = real(*arguments)
    return found | {
        each: Cause.NODE for each in assessment.replicas if each.is_moving and each.phase not in ENDING
    }


def nothing_moves(*arguments: Any) -> bool:
    return False


@pytest.mark.parametrize(
    ("module", "name", "mistake"),
    [("reconciler.core.plan.rollout", "leaving", all_at_once), (health.__name__, "is_moving", nothing_moves)],
    ids=["all at once", "nothing moves"],
)
def test_a_mistake_is_found(module: str, name: str, mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{module}.{name}", mistake)
    assert _finds_one()


def _finds_one() -> bool:
    with quietly():
        return any(violates(live_through, seed) for seed in range(HISTORIES))
