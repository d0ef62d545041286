"""The pool counts the replicas of all web services, those of services that are gone included."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.assess.counts import count_replicas
from tests.core.scenes import read_scene

PLANS = Path(__file__).parents[1] / "plan" / "plans"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.txt")), ids=lambda path: path.stem)
def test_it_is_what_counting_all_replicas_comes_to(path: Path) -> None:
    seen = read_scene(path.read_text().partition("-" * 60)[0]).assessment
    assert seen.pool == count_replicas(seen.stack.replicas, seen.replicas)
    assert seen.pool.desired == seen.stack.replicas
