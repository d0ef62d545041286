"""A whole suite at once: many VaultServices in one directory, beside one Compose project after the other.

    .venv/bin/python benchmarks/suite.py

Each is one replica, its gateway and its HAProxy; Compose starts the same containers. What bounds both is how many
containers the engine starts in a second; the share of it that we reach is the figure to look at. A stack has two networks,
and Docker's default address pools end at about 30: only an engine with wider pools has room for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import RefusedError
from benchmarks.harness.crowd import Crowd, crowd
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.rounds import command, timed
from benchmarks.harness.row import PERCENT, SECONDS, Row
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import remove_project

SERVICES: Final = 100
CONTAINERS_OF_EACH: Final = 3
NETWORKS_OF_EACH: Final = 2
DEFAULT_NETWORKS: Final = 30
"""What Docker's default address pools come to."""
OTHERS: Final = 6
"""Networks that an engine has besides."""
SECONDS_FOR_EACH: Final = 3.0
SAMPLE: Final = 10
"""Compose projects that are started; as many services as there are would take as much longer."""


def rows(lab: Lab) -> Iterator[Row]:
    """The time, and the share of the engine's rate."""
    count = min(SERVICES, (_networks(lab) - OTHERS) // NETWORKS_OF_EACH)
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


def _networks(lab: Lab) -> int:
    """How many networks the engine's address pools have room for."""
    pools = lab.engine.info().get("DefaultAddressPools") or ()
    return (
        sum(1 << (pool["Size"] - int(pool["Base"].partition("/")[2])) for pool in pools) or DEFAULT_NETWORKS
    )


def _apply(services: Crowd) -> None:
    with services.stage.controller():
        patience = len(services.names) * SECONDS_FOR_EACH
        try:
            wait_until("all services are Ready", lambda: services.is_ready, patience)
        except RefusedError as error:
            raise RefusedError(f"{error}; {', '.join(services.unready())}") from error


def _compose(services: Crowd, count: int) -> Iterator[float]:
    """Some of the same stacks, from the files that ours were made of."""
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
