"""Scaling from two replicas to fifty and back under load, compared with `docker compose up -d --scale`.

    .venv/bin/python benchmarks/scale.py

Scaling up is done when all replicas are UP in HAProxy; scaling down when only two containers are left and both are UP.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import Setting, Subject, compose, ours
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import is_full, wait_until
from benchmarks.harness.rounds import timed
from benchmarks.harness.row import BARE, SECONDS, Goal, Row
from benchmarks.rollout import MIX, RATE
from tests.e2e.load import Load

ROUNDS: Final = 2
FEW: Final = 2
MANY: Final = 50
SETTING: Final = Setting(replicas=FEW, boot=0.0, most=MANY)
COMPOSE: Final = "`docker compose up -d`"
CONTESTANTS: Final[dict[str, Callable[[], AbstractContextManager[Subject]]]] = {
    "ours": lambda: ours(SETTING),
    COMPOSE: lambda: compose(SETTING),
}


def rows(lab: Lab) -> Iterator[Row]:
    """Up, down, and failed requests."""
    up: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    down: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    lost: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(ROUNDS):
        for name, contestant in CONTESTANTS.items():
            with contestant() as subject, Load(subject.port, rate=RATE, mix=MIX) as load:
                wait_until("the first ones are UP", partial(is_full, subject, FEW))
                up[name].append(_scaled(subject, MANY))
                down[name].append(_scaled(subject, FEW))
            lost[name].append(len(load.lost))
    sooner = Goal(ratio_at_most=1.0)
    limit = lab.rate(MANY - FEW)
    for what, samples in ((f"scale {FEW} → {MANY}", up), (f"scale {MANY} → {FEW}", down)):
        mine, theirs = tuple(samples["ours"]), tuple(samples[COMPOSE])
        yield Row(what, SECONDS, mine, limit if samples is up else "removals only", COMPOSE, theirs, sooner)
    failed = f"scale {FEW} → {MANY} → {FEW}: failed requests"
    yield Row(failed, BARE, tuple(lost["ours"]), "0", COMPOSE, tuple(lost[COMPOSE]), Goal(at_most=0))


def _scaled(subject: Subject, replicas: int) -> float:
    def scale() -> None:
        # Compose's command returns only at the end.
        asking = threading.Thread(target=subject.scale, args=(replicas,))
        asking.start()
        wait_until(f"{replicas} replicas are UP", lambda: is_full(subject, replicas))
        asking.join()

    return timed(scale)


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
