"""The duration and the failed requests of a rollout, compared with the alternatives on one machine.

    .venv/bin/python benchmarks/rollout.py [ROUNDS]

The release takes 2 s to boot and exits at once on SIGTERM. Clients without retries send requests all the time. Every round
runs all contestants in turn; those that are not installed or do not work on this engine are left out with the reason.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
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
from benchmarks.harness.pool import HEALTHY, is_full, is_replaced, wait_until
from benchmarks.harness.row import BARE, SECONDS, Goal, Row
from tests.e2e.load import FRESH_GET, FRESH_POST, KEPT_GET, KEPT_POST, Load

ROUNDS: Final = {Setting(replicas=3): 3, Setting(replicas=20): 1}
FEW: Final = 5
MARGIN: Final = 1.2
"""Seconds that a rollout of a FEW replicas may take beyond their boot."""
MARGIN_OF_MANY: Final = 1.5
"""Seconds that a rollout of more replicas may take beyond the time in which the bare engine starts them and they boot."""
RATE: Final = 60.0
"""Requests a second: enough to detect short outages, few enough to leave the CPU to the contestants."""
MIX: Final = (FRESH_GET, KEPT_GET, FRESH_POST, KEPT_POST)
OURS: Final = "ours"
COMPOSE: Final = "`docker compose up -d`"
RECREATE_MARGIN: Final = 1.0
"""Seconds that a request may take beyond stop and boot of the only replica."""

Contestants = Mapping[str, Callable[[], AbstractContextManager[Subject]]]


@dataclass(frozen=True)
class Rolled:
    """One rollout: seconds until all new replicas run, until they are healthy, and until all is new; what clients saw."""

    created: float
    healthy: float
    seconds: float
    failed: int
    requests: int
    slowest: float


def rows(lab: Lab, rounds: Mapping[Setting, int] = ROUNDS) -> Iterator[Row]:
    """Time and failed requests, compared with each alternative; then one replica with a single writer."""
    for setting, times in rounds.items():
        results, refused = compete(_contestants(setting, lab), times)
        yield from _rows(setting, lab, results, refused)
    yield from _recreate_rows(Setting(replicas=1), lab, max(rounds.values()))


def _contestants(setting: Setting, lab: Lab) -> Contestants:
    return {
        OURS: lambda: ours(setting),
        COMPOSE: lambda: compose(setting),
        "docker-rollout": lambda: docker_rollout(setting),
        "Swarm, start-first": lambda: swarm(setting, lab.swarm),
    }


def _recreate_rows(setting: Setting, lab: Lab, times: int) -> Iterator[Row]:
    contestants: Contestants = {
        OURS: lambda: ours(setting, type="Recreate"),
        COMPOSE: lambda: compose(setting),
    }
    results, _ = compete(contestants, times)
    mine, theirs = results[OURS], results[COMPOSE]
    what = f"Recreate, 1 replica, {setting.boot:g} s boot"
    limit = f"{setting.boot:g} s boot + {lab.rate(1)}; it exits at once"
    slowest = tuple(each.slowest for each in mine), tuple(each.slowest for each in theirs)
    goal = Goal(at_most=setting.boot + RECREATE_MARGIN)
    yield Row(f"{what}: slowest request", SECONDS, slowest[0], limit, COMPOSE, slowest[1], goal)
    failed = tuple(float(each.failed) for each in mine), tuple(float(each.failed) for each in theirs)
    yield Row(f"{what}: failed requests", BARE, failed[0], "0", COMPOSE, failed[1], Goal(at_most=0))


def compete(contestants: Contestants, rounds: int) -> tuple[Mapping[str, list[Rolled]], Mapping[str, str]]:
    """The results of each contestant, and why some were left out."""
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
    """Roll under load; it is done when the same number of new replicas are UP and no old one is left."""
    before = {row["Id"] for row in subject.rows()}
    wait_until("the first ones are UP", lambda: is_full(subject, len(before)))
    phases: dict[str, float] = {}

    def is_done() -> bool:
        # One query for all containers, because measuring takes CPU time from the contestants on two cores.
        rows = subject.rows()
        fresh = [row["Status"] for row in rows if row["Id"] not in before]
        if len(fresh) >= len(before):
            phases.setdefault("created", time.monotonic() - began)
        if sum(HEALTHY in status for status in fresh) >= len(before):
            phases.setdefault("healthy", time.monotonic() - began)
        return is_replaced(subject, before, rows)

    with Load(subject.port, rate=RATE, mix=MIX) as load:
        began = time.monotonic()
        rolling = threading.Thread(target=subject.release, args=("2",))
        # Some commands return only at the end.
        rolling.start()
        seconds = wait_until("all replicas are new", is_done) - began
        rolling.join()
    # Replicas without a Docker health check count as healthy when HAProxy reports it, at the end.
    created, healthy = (phases.get(name, seconds) for name in ("created", "healthy"))
    return Rolled(created, healthy, seconds, len(load.lost), len(load.shots), load.slowest)


def _rows(
    setting: Setting, lab: Lab, results: Mapping[str, list[Rolled]], refused: Mapping[str, str]
) -> Iterator[Row]:
    what = f"rolling update, {setting.replicas} replicas, {setting.boot:g} s boot"
    limit = f"{setting.boot:g} s boot + {lab.rate(setting.replicas)}"
    if setting.replicas > FEW:
        answering = lab.answering_seconds(setting.replicas, setting.env)
        limit = f"{setting.replicas} that the bare engine starts answer after {answering:.2f} s; {limit}"
    mine = results[OURS]
    seconds, failed = (tuple(getattr(each, field) for each in mine) for field in ("seconds", "failed"))
    for name, theirs in results.items():
        if name == OURS:
            continue
        note = f"{name} was left out: {refused[name]}." if name in refused else _phases(mine, name, theirs)
        times, losses = tuple(each.seconds for each in theirs), tuple(float(each.failed) for each in theirs)
        yield Row(what, SECONDS, seconds, limit, name, times, _goal(setting, lab), note)
        if name not in refused:
            asked = sum(each.requests for each in mine) // len(mine)
            lost = Goal(at_most=0)
            yield Row(f"{what}: failed requests", BARE, failed, f"0 of about {asked:,}", name, losses, lost)


def _goal(setting: Setting, lab: Lab) -> Goal:
    if setting.replicas <= FEW:
        return Goal(at_most=setting.boot + MARGIN)
    return Goal(at_most=lab.answering_seconds(setting.replicas, setting.env) + MARGIN_OF_MANY)


def _phases(mine: Sequence[Rolled], name: str, theirs: Sequence[Rolled]) -> str:
    def told(rolled: Sequence[Rolled]) -> str:
        created, healthy = (
            median(getattr(each, phase) for each in rolled) for phase in ("created", "healthy")
        )
        return f"all new ones run after {created:.2f} s and are healthy after {healthy:.2f} s"

    return f"Ours: {told(mine)}; {name}: {told(theirs)}."


if __name__ == "__main__":
    with Lab() as lab:
        rounds = dict.fromkeys(ROUNDS, int(sys.argv[1])) if len(sys.argv) > 1 else ROUNDS
        print(page.text(rows(lab, rounds)))
