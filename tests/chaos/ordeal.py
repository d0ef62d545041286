"""Runs one fault: a service is started, put under load, the fault is caused, and the service is checked after healing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

from tests.chaos.fault import Fault, Scene, judge
from tests.chaos.private_engine import PrivateEngine
from tests.e2e.leftovers import left_overs
from tests.e2e.load import Load
from tests.e2e.outcome import Outcome
from tests.e2e.proof import harsh_stage, runs_version
from tests.e2e.waiting import until

HEAL_SECONDS: Final = 150.0
"""Longer than the longest timeout of a pass."""
ANSWER_SECONDS: Final = 12.0
"""Longer than HAProxy holds a request; a request without a response by then has failed."""
SERVICE: Final[dict[str, Any]] = {
    "env": {"BOOT_SECONDS": "0.5"},
    # Longer than any request of the load; connections that are left after it have lost their peer.
    "strategy": {"drainSeconds": 5},
    "proxy": {"holdSeconds": 10},
}


def live_through(fault: Fault, engine: PrivateEngine | None = None) -> Outcome:
    """Cause a fault of a service; `engine` is its engine, if not that of the machine."""
    spec = SERVICE | fault.spec
    with harsh_stage(routed=fault.gateway is not None, gateway=fault.gateway, **spec) as stage:
        scene = Scene(stage, fault.lasts, engine)
        story = fault.story(scene)
        with closing(story):  # type: ignore[type-var]
            next(story)
            with closing(scene):
                scene.start_controller()
                stage.converged()
                outcome = _harm(fault, scene, story)
            return replace(outcome, left=tuple(left_overs(stage)))


def _harm(fault: Fault, scene: Scene, story: Iterator[None]) -> Outcome:
    stage = scene.stage
    with Load(stage.port, patience=ANSWER_SECONDS) as load:
        next(story, None)
        over = time.monotonic()
        stage.converged(HEAL_SECONDS)
        until(
            "all serve",
            lambda: all(state == "UP" for slot in stage.slots() for state in stage.servers(slot).values()),
        )
        healed = time.monotonic()
    broken = judge(fault.promise, load, stage, over, healed)
    if scene.changed and not runs_version(stage):
        broken = (*broken, "the new release does not run")
    return Outcome(fault.name, healed - over, len(load.shots), len(load.lost), broken, ())
