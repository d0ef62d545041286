"""Many VaultServices in one directory at once, compared with one Compose project after the other.

    .venv/bin/python benchmarks/suite.py

Each has one replica, its gateway and its HAProxy; Compose starts the same containers. The limit of both is the engine's
rate of container starts; the result is our share of it. A stack has two networks, and Docker's default address pools
have about 30: all services need an engine with larger pools.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import RefusedError
from benchmarks.harness.crowd import CONTAINERS_BESIDE, Crowd, crowd, most_services
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.rounds import command, timed
from benchmarks.harness.row import PERCENT, SECONDS, Row
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import remove_project

SERVICES: Final = 100
CONTAINERS_OF_EACH: Final = 1 + CONTAINERS_BESIDE
SECONDS_FOR_EACH: Final = 3.0
SAMPLE: Final = 10
"""Compose projects that are started; the time for all services is extrapolated."""


def rows(lab: Lab) -> Iterator[Row]:
    """The time, and the share of the engine's rate."""
    count = min(SERVICES, most_services(lab))
    containers = count * CONTAINERS_OF_EACH
    limit = lab.rate(containers)
    with crowd(count, plugin="idle", healthcheck={"interval": "1s"}) as services:
        ours = timed(lambda: _apply(services))
        theirs = sum(_compose(services, SAMPLE)) * count / SAMPLE
    what = f"{count} VaultServices applied at once"
    peer = f"`docker compose up -d`, {count} times"
    note = f"{peer} is {count / SAMPLE:g} times what {SAMPLE} of them took."
    yield Row(what, SECONDS, (ours,), limit, peer, (theirs,), note=note)
    share = 100 * containers / ours / lab.starts_per_second
    yield Row(
        f"{what}: share of the engine's start rate", PERCENT, (share,), f"{lab.starts_per_second:.1f}/s"
    )


def _apply(services: Crowd) -> None:
    with services.stage.controller():
        patience = len(services.names) * SECONDS_FOR_EACH
        try:
            wait_until("all services are Ready", lambda: services.is_ready, patience)
        except RefusedError as error:
            raise RefusedError(f"{error}; {', '.join(services.unready())}") from error


def _compose(services: Crowd, count: int) -> Iterator[float]:
    """A sample of the same stacks, from our own files."""
    for name in services.names[:count]:
        project = project_of(name)
        remove_project(project)
        file = services.stage.state / "services" / name / "compose.yaml"
        yield timed(
            command("docker", "compose", "--project-name", project, "--file", str(file), "up", "--detach")
        )


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
