"""No history of a service that sleeps breaks a promise; SLEEPY=n lives through more or fewer of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from reconciler.controller.reconcile import world
from reconciler.core.assess import sleep
from reconciler.core.assess.observation import Observation
from reconciler.core.desired.stack import Role, Stack
from tests.simulation.many import quietly
from tests.simulation.simulation import run
from tests.simulation.sleeping import Sleepy
from tests.simulation.story import violates

HISTORIES = int(os.environ.get("SLEEPY", "100"))

pytestmark = pytest.mark.promise


def live_through(seed: int) -> Sleepy:
    simulation = Sleepy(seed)
    run(simulation, f"seed {seed}")
    return simulation


@pytest.mark.long
@pytest.mark.timeout(0)
def test_no_service_that_sleeps_breaks_a_promise() -> None:
    with quietly():
        lived = [live_through(seed) for seed in range(HISTORIES)]
    assert sum(each.sleeps for each in lived) > HISTORIES
    assert sum(each.wakes for each in lived) > HISTORIES


def too_early(stack: Stack, observed: Observation, *, settled: bool) -> bool:
    return sleep.sleeps(replace(stack, idle=stack.idle and stack.idle / 2), observed, settled=settled)


def never_wakes(stack: Stack, observed: Observation, *, settled: bool) -> bool:
    if settled and not any(c.role is Role.WEB for c in observed.containers):
        return stack.idle is not None
    return sleep.sleeps(stack, observed, settled=settled)


def never_sleeps(stack: Stack, observed: Observation, *, settled: bool) -> bool:
    return False


def sleeps_over_requests(stack: Stack, observed: Observation, *, settled: bool) -> bool:
    activity = observed.proxy.activity
    known = replace(observed.proxy, activity=activity and replace(activity, open=0))
    return sleep.sleeps(stack, replace(observed, proxy=known), settled=settled)


@pytest.mark.parametrize(
    "mistake", [too_early, never_wakes, never_sleeps, sleeps_over_requests], ids=lambda each: each.__name__
)
def test_a_mistake_is_found(mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "sleeps", mistake)
    assert _finds_one()


def _finds_one() -> bool:
    with quietly():
        return any(violates(live_through, seed) for seed in range(HISTORIES))
