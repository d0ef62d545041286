"""Plans as text: every file of plans/ is a scene, a line of dashes, and the plan that has to come out.

UPDATE_PLANS=1 writes the plans anew, for a reader to judge by the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.core.plan.operations import CreateProxy, Plan
from reconciler.core.plan.planner import plan
from reconciler.proxy.haproxy.front import FRONT
from tests.core.scenes import read_scene

PLANS = Path(__file__).parent / "plans"
DASHES = "-" * 60


def cases() -> list[Path]:
    return sorted(PLANS.glob("*.txt"))


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_plan(path: Path) -> None:
    told, _, expected = path.read_text().partition(f"{DASHES}\n")
    scene = read_scene(told)
    made = str(plan(scene.assessment, scene.history, FRONT))
    for revision, name in scene.names.items():
        made = made.replace(revision, name)
    if os.environ.get("UPDATE_PLANS"):
        path.write_text(f"{told}{DASHES}\n{made}\n")
    assert made == expected.rstrip("\n")


def test_there_is_a_plan_for_every_promise() -> None:
    assert len(cases()) >= 30


def test_an_empty_plan_says_so() -> None:
    assert str(Plan()) == "nothing to do"
    assert not Plan(waiting=("web-1 is starting",))


def test_what_a_plan_removes_first_is_not_counted_as_there() -> None:
    """The engine makes as many as there shall be in all: with one too few there, it would make two in one slot."""
    told, _, _ = (PLANS / "proxy_created_for_another_image.txt").read_text().partition(f"{DASHES}\n")
    scene = read_scene(told)
    made = plan(scene.assessment, scene.history, FRONT)
    (request,) = [each for each in made.operations if isinstance(each, CreateProxy)]
    assert (request.existing, request.slot) == (1, 3)
