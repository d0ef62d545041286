"""Many VaultServices behind one gateway: containers and memory for each of them, and the time to apply all.

    .venv/bin/python benchmarks/density.py

Each has one replica, of the image that the bare engine starts as well. `network: published` has the gateway join the
network of each service. A service with a port has a gateway and an HAProxy of its own; some of these are started for
comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import psutil

from benchmarks.harness import page
from benchmarks.harness.contestants import RefusedError
from benchmarks.harness.crowd import CONTAINERS_BESIDE, Crowd, crowd, most_services
from benchmarks.harness.lab import Lab
from benchmarks.harness.rounds import timed
from benchmarks.harness.row import BARE, MEGABYTES, PERCENT, SECONDS, Goal, Row
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import containers, inspect

SERVICES: Final = 100
PLUGIN: Final = "swift"
"""An application that takes a fifth of a second of a processor to boot would be most of what is measured."""
SECONDS_FOR_EACH: Final = 6.0
"""Patience; on a quiet machine it is less than a second."""
PRIVATE: Final = 10
"""Services with a port that are started, for the memory of their HAProxies."""
MEGABYTE: Final = 1 << 20
NETWORKS: Final = ("host", "published")


def rows(lab: Lab, count: int = SERVICES) -> Iterator[Row]:
    """For each network of a gateway."""
    count = min(count, most_services(lab))
    private = _private(min(PRIVATE, count))
    for network in NETWORKS:
        yield from _rows(lab, network, count, private)


def _rows(lab: Lab, network: str, count: int, private: float) -> Iterator[Row]:
    spec = {"network": network}
    with (
        crowd(count, gateway=spec, plugin=PLUGIN, healthcheck={"interval": "1s"}) as services,
        services.stage.controller(),
    ):
        taken = timed(lambda: _ready(services))
        front = containers(services.stage.front_project)
        every = len(front) + sum(len(containers(project_of(name))) for name in services.names)
        used = _memory(front) / count
    limit, started = lab.rate(every), every / taken
    what = f"{count} VaultServices behind a gateway (`network: {network}`)"
    yield Row(f"{what}, applied at once", SECONDS, (taken,), limit)
    rate, full = 100 * started / lab.starts_per_second, (100.0,)
    goal = Goal(ratio_at_least=0.8)
    bare = f"{lab.starts_per_second:.1f}/s"
    yield Row(
        f"{what}: share of the engine's start rate", PERCENT, (rate,), bare, "the bare engine", full, goal
    )
    # Each service has a network, which takes the engine about as long as a start.
    there = lab.starts_in_networks_per_second
    yield Row(
        f"{what}: share of the engine's rate with a network for each container",
        *(PERCENT, (100 * started / there,), f"{there:.1f}/s", "the bare engine", full),
    )
    own = "with ports of their own"
    yield Row(f"{what}: containers for each", BARE, (every / count,), "1", own, (1.0 + CONTAINERS_BESIDE,))
    note = f"Resident memory of all processes of the gateway, shared pages counted in each; {own} that of {PRIVATE}."
    beside = f"{what}: memory for each, beside its replica"
    yield Row(beside, MEGABYTES, (used,), "0", own, (private,), Goal(ratio_at_most=1.0), note)


def _private(count: int) -> float:
    """Megabytes for each service with a port of its own."""
    with crowd(count, plugin=PLUGIN, healthcheck={"interval": "1s"}) as services, services.stage.controller():
        _ready(services)
        return sum(map(_memory_beside, services.names)) / count


def _memory_beside(name: str) -> float:
    project = project_of(name)
    return _memory([*containers(project, "gateway"), *containers(project, "haproxy")])


def _memory(ids: Collection[str]) -> float:
    """Megabytes of the processes in these containers."""
    roots = [psutil.Process(inspect(each)["State"]["Pid"]) for each in ids]
    every = [process for root in roots for process in (root, *root.children(recursive=True))]
    return sum(process.memory_info().rss for process in every) / MEGABYTE


def _ready(services: Crowd) -> None:
    patience = 30 + len(services.names) * SECONDS_FOR_EACH
    try:
        services.wait(patience)
    except RefusedError as error:
        raise RefusedError(f"{error}; {', '.join(services.unready())}") from error


if __name__ == "__main__":
    import sys

    with Lab() as lab:
        print(page.text(rows(lab, int(sys.argv[1]) if len(sys.argv) > 1 else SERVICES)))
