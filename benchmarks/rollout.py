"""Replicas of a new release, ours beside what else there is on one machine: how long, and how many requests fail.

    .venv/bin/python benchmarks/rollout.py [ROUNDS]

The release takes 2 s to boot and exits at once on SIGTERM. Clients that never retry go on all the time. Every round
tries all contestants in turn; who is not installed, or refuses to work on this engine, is left out with the reason.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import (
    RefusedError,
    Setting,
    Subject,
    compose,
    docker_rollout,
    ours,
    swarm,
)
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import is_full, is_replaced, wait_until
from benchmarks.harness.row import BARE, SECONDS, Goal, Row
from tests.e2e.load import FRESH_GET, FRESH_POST, KEPT_GET, KEPT_POST, Load

ROUNDS: Final = {Setting(replicas=3): 3, Setting(replicas=20): 2}
MARGIN: Final = 1.2
"""Seconds that a rollout may take beyond the boot of its replicas."""
RATE: Final = 100.0
"""Requests a second: enough to meet every moment, and little enough to leave the cores to the contestants."""
MIX: Final = (FRESH_GET, KEPT_GET, FRESH_POST, KEPT_POST)
OURS: Final = "ours"

Contestants = Mapping[str, Callable[[], AbstractContextManager[Subject]]]


@dataclass(frozen=True)
class Rolled:
    """One rollout: seconds until all is new, and what the clients saw."""

    seconds: float
    failed: int
    requests: int
    slowest: float


def rows(lab: Lab, rounds: Mapping[Setting, int] = ROUNDS) -> Iterator[Row]:
    """Time and failed requests beside each of the others."""
    for setting, times in rounds.items():
        results, refused = compete(_contestants(setting, lab), times)
        yield from _rows(setting, lab, results, refused)


def _contestants(setting: Setting, lab: Lab) -> Contestants:
    return {
        OURS: lambda: ours(setting),
        "`docker compose up -d`": lambda: compose(setting),
        "docker-rollout": lambda: docker_rollout(setting),
        "Swarm, start-first": lambda: swarm(setting, lab.swarm),
    }


def compete(contestants: Contestants, rounds: int) -> tuple[Mapping[str, list[Rolled]], Mapping[str, str]]:
    """What each came to, and why some did not take part."""
    results: dict[str, list[Rolled]] = {name: [] for name in contestants}
    refused: dict[str, str] = {}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            if name in refused:
                continue
            try:
                with contestant() as subject:
                    results[name].append(measure(subject))
            except RefusedError as error:
                refused[name] = str(error)
    return results, refused


def measure(subject: Subject) -> Rolled:
    """Roll under load; it is done when as many others as there were are UP and nobody is left of the first."""
    before = {row["Id"] for row in subject.rows()}
    wait_until("the first ones are UP", lambda: is_full(subject, len(before)))
    with Load(subject.port, rate=RATE, mix=MIX) as load:
        began = time.monotonic()
        rolling = threading.Thread(target=subject.release, args=("2",))
        # Some give the command back only at the end.
        rolling.start()
        seconds = wait_until("all replicas are new", lambda: is_replaced(subject, before)) - began
        rolling.join()
    return Rolled(seconds, len(load.lost), len(load.shots), load.slowest)


def _rows(
    setting: Setting, lab: Lab, results: Mapping[str, list[Rolled]], refused: Mapping[str, str]
) -> Iterator[Row]:
    what = f"rolling update, {setting.replicas} replicas, {setting.boot:g} s boot"
    limit = f"{setting.boot:g} s boot + {lab.rate(setting.replicas)}"
    mine = results[OURS]
    seconds, failed = (tuple(getattr(each, field) for each in mine) for field in ("seconds", "failed"))
    for name, theirs in results.items():
        if name == OURS:
            continue
        note = f"{name} was left out: {refused[name]}." if name in refused else ""
        times, losses = tuple(each.seconds for each in theirs), tuple(float(each.failed) for each in theirs)
        goal = Goal(at_most=setting.boot + MARGIN)
        yield Row(what, SECONDS, seconds, limit, name, times, goal, note)
        if name not in refused:
            asked = sum(each.requests for each in mine) // len(mine)
            lost = Goal(at_most=0)
            yield Row(f"{what}: failed requests", BARE, failed, f"0 of about {asked:,}", name, losses, lost)


if __name__ == "__main__":
    with Lab() as lab:
        rounds = dict.fromkeys(ROUNDS, int(sys.argv[1])) if len(sys.argv) > 1 else ROUNDS
        print(page.text(rows(lab, rounds)))
