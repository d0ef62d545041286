"""A rollout by `vaultctl apply` without a controller, under load: the whole command, from start to exit.

    .venv/bin/python benchmarks/alone.py [ROUNDS]

Three replicas of 2 s boot have a health check that starts a Python process, and clients without retries send 250 requests a
second, so that both cores are busy. A new process has to import, build and look before its first operation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.harness import page
from benchmarks.harness.contestants import DEADLINE, PLUGINS, Setting
from benchmarks.harness.lab import Lab
from benchmarks.harness.rounds import timed
from benchmarks.harness.row import BARE, SECONDS, Goal, Row
from benchmarks.rollout import MIX
from tests.e2e.load import Load
from tests.e2e.stage import Stage, staged

ROUNDS: Final = 3
RATE: Final = 250.0
MARGIN: Final = 2.0
"""Seconds that the command may take beyond the boot of the replicas."""
SETTING: Final = Setting(replicas=3)


def rows(lab: Lab, rounds: int = ROUNDS) -> Iterator[Row]:
    """The time of the command, and what clients lost."""
    seconds, failed, asked = [], [], 0
    spec: dict[str, Any] = {
        "replicas": SETTING.replicas,
        "env": SETTING.env,
        "strategy": {"rollingUpdate": {"maxSurge": "100%"}},
    }
    with staged(plugin="checked", **spec) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        stage.apply()
        for number in range(rounds):
            with Load(stage.port, rate=RATE, mix=MIX) as load:
                seconds.append(_roll(stage, version=f"{number + 2}"))
            failed.append(float(len(load.lost)))
            asked += len(load.shots)
    what = (
        f"`vaultctl apply` rolls {SETTING.replicas} replicas, {SETTING.boot:g} s boot, without a controller"
    )
    limit = f"{SETTING.boot:g} s boot + {lab.rate(SETTING.replicas)}"
    yield Row(what, SECONDS, tuple(seconds), limit, goal=Goal(at_most=SETTING.boot + MARGIN))
    none = f"0 of about {asked // rounds:,}"
    yield Row(f"{what}: failed requests", BARE, tuple(failed), none, goal=Goal(at_most=0))


def _roll(stage: Stage, version: str) -> float:
    stage.write(env={"VERSION": version})
    return timed(lambda: stage.apply("--timeout", f"{DEADLINE:g}s"))


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab, int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))
