"""The reaction time after a replica was killed, and after a manifest was saved.

    .venv/bin/python benchmarks/reaction.py

A replica gets SIGKILL through the engine's API. The engine's event has the time of its death, our log the start of the
first operation, and the engine the creation of Swarm's next task. HAProxy and the health checks decide when the
pool is full.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from benchmarks.harness import page
from benchmarks.harness.contestants import (
    DEADLINE,
    LOOK_SECONDS,
    RefusedError,
    Setting,
    Subject,
    compose,
    ours,
    swarm,
)
from benchmarks.harness.lab import Lab
from benchmarks.harness.operations import OperationLog
from benchmarks.harness.pool import is_full, is_replaced, wait_until
from benchmarks.harness.row import SECONDS, Goal, Row

ROUNDS: Final = 5
SETTING: Final = Setting(replicas=3, boot=0.2)
CALM_SECONDS: Final = 0.5
"""Seconds between two rounds, so that the work of the last one is done before the next crash."""

SWARM_NOTE: Final = "Swarm with `--restart-delay 0s`; its default waits 5 s before it does anything."
BY_HAND: Final = "The command is run at the moment of the crash; an operator would be slower."


def rows(lab: Lab) -> Iterator[Row]:
    """Reaction, healing, and the reaction to a saved file."""
    with ExitStack() as stack:
        mine = stack.enter_context(ours(SETTING))
        operations = _operations(mine)
        yield _saved(mine, operations)
        rivals = {"`docker compose up -d` by hand": stack.enter_context(compose(SETTING))}
        note = SWARM_NOTE
        try:
            rivals["Swarm"] = stack.enter_context(swarm(SETTING, lab.swarm))
        except RefusedError as error:
            note = f"Swarm was left out: {error}"
        reactions: list[float] = []
        created: list[float] = []
        healed: dict[str, list[float]] = {name: [] for name in ("ours", *rivals)}
        for number in range(ROUNDS):
            _renew(mine, str(number))
            died, full = _crash(mine)
            reactions.append(operations.first_after(died) - died)
            healed["ours"].append(full)
            for name, rival in rivals.items():
                died, full = _crash(rival)
                healed[name].append(full)
                if name == "Swarm":
                    created.append(_created_after(rival, died) - died)
    limit = lab.one_start(SETTING.boot)
    what = "replica killed → first operation issued, after the engine's event"
    goal = Goal(at_most=0.020, ratio_at_most=1 / 5)
    yield Row(what, SECONDS, tuple(reactions), lab.one_event(), "Swarm", tuple(created), goal, note)
    for name in rivals:
        yield Row(
            f"replica killed → full pool again, {SETTING.boot:g} s boot",
            SECONDS,
            tuple(healed["ours"]),
            limit,
            name,
            tuple(healed[name]),
            Goal(ratio_at_most=1.0),
            note if name == "Swarm" else BY_HAND,
        )


def _operations(mine: Subject) -> OperationLog:
    assert mine.stage is not None
    return OperationLog(mine.stage.root / "controller.log")


def _saved(mine: Subject, operations: OperationLog) -> Row:
    """One replica more and one less, in turn."""
    samples = []
    for number in range(ROUNDS):
        time.sleep(CALM_SECONDS)
        replicas = SETTING.replicas + (number + 1) % 2
        saved = time.time()
        mine.scale(replicas)
        samples.append(operations.first_after(saved) - saved)
        wait_until("the replicas follow the file", partial(is_full, mine, replicas))
    mine.scale(SETTING.replicas)
    wait_until("the replicas follow the file", partial(is_full, mine, SETTING.replicas))
    limit = "30 ms of silence, so that one save is one"
    return Row("file saved → first operation", SECONDS, tuple(samples), limit, goal=Goal(at_most=0.1))


def _crash(subject: Subject) -> tuple[float, float]:
    """Kill a replica; returns the wall-clock time of its death, and the seconds until the pool was full again."""
    wait_until("a full pool", lambda: is_full(subject, SETTING.replicas))
    time.sleep(CALM_SECONDS)
    victim = subject.rows()[0]["Id"]
    asked = time.time()
    subject.engine.kill(victim)
    died = _moment(subject.engine, asked, {"event": "die", "container": victim})
    began = time.monotonic() - (time.time() - died)
    subject.heal()
    # Compose restarts the same container, the others create a new one.
    full = wait_until("a full pool", lambda: is_full(subject, SETTING.replicas))
    return died, full - began


def _renew(mine: Subject, version: str) -> None:
    """Roll out a new release, because repeated deaths of the same revision increase the backoff."""
    before = {row["Id"] for row in mine.rows()}
    mine.release(version)
    wait_until("all replicas are new", lambda: is_replaced(mine, before))


def _created_after(subject: Subject, moment: float) -> float:
    return _moment(subject.engine, moment, {"event": "create", "label": list(subject.labels)})


def _moment(engine: Any, since: float, filters: dict[str, Any]) -> float:
    """When the first such event happened, by the engine's clock."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        events = engine.events(since=since, until=time.time(), filters=filters, decode=True)
        if moments := [float(event["timeNano"]) / 1e9 for event in events]:
            return min(moments)
        time.sleep(LOOK_SECONDS)
    raise RefusedError(f"no {filters['event']} event within {DEADLINE:g} s")


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
