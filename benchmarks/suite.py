"""A whole suite at once: many VaultServices in one directory, beside one Compose project after the other.

    .venv/bin/python benchmarks/suite.py

Each is one replica, its gateway and its HAProxy; Compose starts the same containers. What bounds both is how many
containers the engine starts in a second; the share of it that we reach is the figure to look at. Docker's default
address pools end at about 30 networks, and a stack has two, so more services than these need wider pools.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.crowd import Crowd, crowd
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.rounds import command, timed
from benchmarks.harness.row import PERCENT, SECONDS, Row
from reconciler.core.build import project_of
from tests.e2e.docker_cli import remove_project

ROUNDS: Final = 2
SERVICES: Final = 12
CONTAINERS_OF_EACH: Final = 3


def rows(lab: Lab) -> Iterator[Row]:
    """The time, and the share of the engine's rate."""
    containers = SERVICES * CONTAINERS_OF_EACH
    limit = lab.rate(containers)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with crowd(SERVICES, plugin="idle", healthcheck={"interval": "1s"}) as services:
            ours.append(timed(lambda: _apply(services)))
            theirs.append(sum(_compose(services)))
    what = f"{SERVICES} VaultServices applied at once"
    peer = f"`docker compose up -d`, {SERVICES} times"
    yield Row(what, SECONDS, tuple(ours), limit, peer, tuple(theirs))
    share = tuple(100 * containers / seconds / lab.starts_per_second for seconds in ours)
    yield Row(f"{what}: share of the engine's start rate", PERCENT, share, f"{lab.starts_per_second:.1f}/s")


def _apply(services: Crowd) -> None:
    with services.stage.controller():
        wait_until("all services are Ready", lambda: services.is_ready)


def _compose(services: Crowd) -> Iterator[float]:
    """The same stacks, from the files that ours were made of."""
    for name in services.names:
        project = project_of(name)
        remove_project(project)
        file = services.stage.state / "services" / name / "compose.yaml"
        yield timed(
            command("docker", "compose", "--project-name", project, "--file", str(file), "up", "--detach")
        )


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
