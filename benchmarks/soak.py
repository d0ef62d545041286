"""A controller under continuous change: checks for memory growth, lost requests and leftovers.

    .venv/bin/python benchmarks/soak.py [MINUTES]

Three services under one controller. Every two seconds one of them changes: a replica is killed, the number of replicas
changes, there is a new release, all replicas are rotated, or a service is removed and created again. Clients send requests
to the first service all the time; requests in flight on a killed replica that cannot be repeated are lost, and are counted
separately. Memory, file descriptors and threads are sampled every second; a leak is a difference between the first and the
last third. A run of the full length is stored and becomes a part of docs/benchmarks.md.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import psutil

from benchmarks.harness import results
from benchmarks.harness.crowd import Crowd, crowd
from benchmarks.harness.pool import wait_until
from benchmarks.rollout import MIX
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import PROJECT, containers, docker
from tests.e2e.load import Load, Shot

MINUTES: Final = 15.0
SERVICES: Final = 3
REPLICAS: Final = (2, 3, 4)
SEED: Final = 7
CHURN_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 1.0
RATE: Final = 60.0
"""Requests a second: enough to detect short outages, too few to affect the measurement."""
MEGABYTE: Final = 1 << 20
NOTICE_SECONDS: Final = 1.0
"""Seconds within which HAProxy's checks detect a dead replica."""
SPEC: Final[Mapping[str, Any]] = {
    "plugin": "whoami",
    "replicas": 3,
    "env": {"GRACEFUL": "0"},
    "strategy": {"rollingUpdate": {"maxSurge": "100%"}, "drainSeconds": 10},
}


@dataclass
class Churn:
    """Changes of services, one at a time. The first service keeps its manifest, because clients use it."""

    services: Crowd
    chance: random.Random
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    kills: list[tuple[float, float]] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        self.specs = {name: dict(SPEC) for name in self.services.names}

    def happen(self) -> None:
        """The next thing."""
        name = self.chance.choice(self.services.names)
        acts: list[Callable[[str], None]] = [self._kill, self._scale, self._release, self._rotate]
        if name != self.services.names[0]:
            acts.append(self._go_or_come)
        self.chance.choice(acts)(name)
        self.done += 1

    def interrupted(self, shot: Shot) -> bool:
        """Whether a lost request cannot be repeated and was in flight while a replica was killed."""
        return shot.is_bound and any(
            shot.began <= dead + NOTICE_SECONDS and shot.ended >= killed for killed, dead in self.kills
        )

    def settle(self) -> None:
        """Restore the initial state."""
        for name in self.services.names:
            self._change(name, replicas=SPEC["replicas"])
        wait_until("everything is Ready again", lambda: self.services.is_ready and not self.surplus())

    def surplus(self) -> str:
        """Surplus and missing objects; empty if there are none."""
        wrong = []
        for name in self.services.names:
            label = f"--filter=label={PROJECT}={project_of(name)}"
            there = {
                "replicas": (len(containers(project_of(name), "whoami", everything=True)), SPEC["replicas"]),
                "containers": (len(containers(project_of(name), everything=True)), SPEC["replicas"] + 2),
                "networks": (len(docker("network", "ls", "--quiet", label).split()), 2),
                "volumes": (len(docker("volume", "ls", "--quiet", label).split()), 0),
            }
            wrong += [f"{name}: {found} {kind}" for kind, (found, right) in there.items() if found != right]
        return ", ".join(wrong)

    def _kill(self, name: str) -> None:
        if running := containers(project_of(name), "whoami"):
            killed = time.monotonic()
            # The replica may be stopping already.
            docker("kill", self.chance.choice(running), check=False)
            if name == self.services.names[0]:
                self.kills.append((killed, time.monotonic()))

    def _scale(self, name: str) -> None:
        self._change(name, replicas=self.chance.choice(REPLICAS))

    def _release(self, name: str) -> None:
        self._change(name, env={"GRACEFUL": "0", "VERSION": str(self.done)})

    def _rotate(self, name: str) -> None:
        self._change(name, rotatedAt=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))

    def _go_or_come(self, name: str) -> None:
        if self.services.manifest(name).exists():
            self.services.manifest(name).unlink()
        else:
            self._change(name)

    def _change(self, name: str, **fields: Any) -> None:
        self.specs[name] |= fields
        self.services.write(name, self.specs[name])


def main(minutes: float) -> None:
    """Run the soak and print the results; exits with 1 if a request was lost or something is left over."""
    with crowd(SERVICES, **SPEC) as services, services.stage.controller() as controller:
        wait_until("all services are Ready", lambda: services.is_ready)
        churn = Churn(services, random.Random(SEED))
        with Load(services.ports[services.names[0]], rate=RATE, mix=MIX) as load:
            series = _watch(churn, psutil.Process(controller.pid), minutes * 60)
        churn.settle()
        left = churn.surplus()
    interrupted = [shot for shot in load.lost if churn.interrupted(shot)]
    lost = [shot for shot in load.lost if shot not in interrupted]
    soak = {
        "day": datetime.now(UTC).date().isoformat(),
        "minutes": minutes,
        "churn": f"{churn.done} changes, crashes and rotations of {SERVICES} services",
        "series": {name: _thirds(values) for name, values in series.items()},
        "requests": len(load.shots),
        "lost": len(lost),
        "kills": len(churn.kills),
        "interrupted": len(interrupted),
        "left": left,
    }
    print(*(f"{name}: {value}" for name, value in soak.items()), *map(str, lost[:10]), sep="\n")
    if minutes >= MINUTES:
        results.save_soak(soak)
    sys.exit(bool(lost or left))


def _watch(churn: Churn, controller: psutil.Process, seconds: float) -> Mapping[str, list[float]]:
    series: dict[str, list[float]] = {"memory (RSS, MB)": [], "file descriptors": [], "threads": []}
    end = time.monotonic() + seconds
    due = 0.0
    while time.monotonic() < end:
        if time.monotonic() >= due:
            due = time.monotonic() + CHURN_SECONDS
            churn.happen()
        now = (controller.memory_info().rss / MEGABYTE, controller.num_fds(), controller.num_threads())
        for samples, value in zip(series.values(), now, strict=True):
            samples.append(value)
        time.sleep(LOOK_SECONDS)
    return series


def _thirds(values: list[float]) -> tuple[float, float]:
    """The medians of the first and of the last third."""
    third = max(1, len(values) // 3)
    return statistics.median(values[:third]), statistics.median(values[-third:])


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
