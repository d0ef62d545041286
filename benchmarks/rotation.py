"""Rotation every two seconds for a given time: lost requests, leftovers, memory.

    .venv/bin/python benchmarks/rotation.py [MINUTES]

Ten minutes have 200 to 300 rotations, as many as a service with `interval: 2m` has in a working day. The controller's
memory is sampled all the time; growth between the first and the last third shows a leak.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Final

import psutil

from tests.e2e.docker_cli import containers, docker
from tests.e2e.load import Load, read_ledger
from tests.e2e.stage import Stage, staged

MINUTES: Final = 10.0
REPLICAS: Final = 3
INTERVAL: Final = "2s"
LOOK_SECONDS: Final = 1.0
DEADLINE: Final = 180.0
MEGABYTE: Final = 1 << 20


@dataclass
class Watched:
    """Observation replicas, and samples of the controller's memory (bytes)."""

    replicas: set[str] = field(default_factory=set)
    memory: list[int] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Bytes gained between the medians of the first and the last third."""
        third = max(1, len(self.memory) // 3)
        return statistics.median(self.memory[-third:]) - statistics.median(self.memory[:third])


def main(minutes: float) -> None:
    """Rotate under load and print the results; exits with 1 if a request was lost or anything is left over."""
    with staged(plugin="whoami", replicas=REPLICAS) as stage:
        env = {"GRACEFUL": "0", "WHOAMI_LEDGER_DIR": str(stage.ledger)}
        # Allows the next replica while the last one still drains.
        budget = {"maxSurge": "100%"}
        stage.write(strategy={"rollingUpdate": budget, "drainSeconds": 10}, env=env)
        with stage.controller() as controller:
            stage.converged(DEADLINE)
            before = _things(stage)
            with Load(stage.port) as load:
                stage.write(rotation={"interval": INTERVAL})
                watched = _watch(stage, psutil.Process(controller.pid), minutes * 60)
                stage.write(rotation=None)
                stage.converged(DEADLINE)
            left = {
                kind: count - before[kind] for kind, count in _things(stage).items() if count != before[kind]
            }
        faults = load.faults(read_ledger(stage.ledger))
        story = stage.story() if faults else ""
    memory = f"{watched.memory[-1] / MEGABYTE:.0f} MB, {watched.growth / MEGABYTE:+.1f} MB between first and last third"
    print(f"rotations           {len(watched.replicas) - REPLICAS} in {minutes:g} minutes")
    print(
        f"requests            {len(load.shots)}, {len(faults)} lost or run twice, slowest {load.slowest:.2f} s"
    )
    print(f"left over           {left or 'nothing'}")
    print(f"controller's memory {memory}")
    print(*faults[:10], story, sep="\n")
    sys.exit(bool(faults or left))


def _watch(stage: Stage, controller: psutil.Process, seconds: float) -> Watched:
    watched = Watched()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watched.replicas.update(stage.replicas())
        watched.memory.append(controller.memory_info().rss)
        time.sleep(LOOK_SECONDS)
    return watched


def _things(stage: Stage) -> dict[str, int]:
    """The number of objects of each kind that a rotation creates or changes."""
    label = f"--filter=label=com.docker.compose.project={stage.project}"
    return {
        "containers": len(containers(stage.project, everything=True)),
        "networks": len(docker("network", "ls", "--quiet", label).split()),
        "volumes": len(docker("volume", "ls", "--quiet", label).split()),
        "servers": stage.servers_up(),
    }


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
