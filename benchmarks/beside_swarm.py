"""A rolling update on three nodes, compared with Swarm's own and with docker-rollout on one of them.

    .venv/bin/python -m benchmarks beside_swarm

Three engines on this machine, each in a network of its own. Clients without retries send GET and POST requests, slow ones
and WebSockets of two seconds, through the ports of all nodes. Each round has a rollout of every contestant in turn. It is
over when all replicas are new and healthy and the last container of an old one has ended, so slow requests are part of it
where they are waited for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import IMAGES, RefusedError, Setting
from benchmarks.harness.lab import Lab
from benchmarks.harness.on_nodes import OnNodes, ours, rolled_out, swarms_own
from benchmarks.harness.pool import HEALTHY, wait_until
from benchmarks.harness.row import BARE, SECONDS, Goal, Row
from tests.e2e.load import Load
from tests.swarm.laboratory import laboratory
from tests.swarm.ways_in import on_all_nodes

ROUNDS: Final = 3
RATE: Final = 330.0
"""Requests a second. All three contestants get as many."""
LEAST_RATE: Final = 300.0
LOOK_SECONDS: Final = 0.1
OURS: Final = "ours"
SWARM: Final = "Swarm, start-first"
ROLLOUT: Final = "docker-rollout on one of the nodes"
APPLICATIONS: Final[Mapping[str, Setting]] = {
    "ends its requests on SIGTERM": Setting(graceful=True),
    "exits at once on SIGTERM": Setting(),
}

Contestants = Mapping[str, Callable[[], AbstractContextManager[OnNodes]]]


@dataclass(frozen=True)
class Rolled:
    """One rollout: seconds until as many new replicas run, until they are healthy, and until nothing old is left; how many
    replicas ran beyond the wanted number; the requests, and the failed ones by kind.
    """

    created: float
    healthy: float
    seconds: float
    surge: int
    requests: int
    lost: Counter[str]


def rows(lab: Lab, rounds: int = ROUNDS) -> Iterator[Row]:
    """Time, failed requests and surge with each application, compared with each alternative."""
    found = []
    # None is given out before the end: the process has the network of the first node meanwhile.
    with laboratory(IMAGES) as nodes, on_all_nodes(nodes) as stage:
        for application, setting in APPLICATIONS.items():
            contestants: Contestants = {
                OURS: partial(ours, setting, nodes, stage),
                SWARM: partial(swarms_own, setting, nodes),
                ROLLOUT: partial(rolled_out, setting, nodes),
            }
            with ExitStack() as standing:
                subjects, refused = _start(contestants, standing)
                found.append((application, setting, refused, compete(subjects, rounds)))
    for application, setting, refused, results in found:
        yield from _rows(application, setting, refused, results, lab)


def _start(contestants: Contestants, standing: ExitStack) -> tuple[Mapping[str, OnNodes], Mapping[str, str]]:
    """Those that run, and why the others do not."""
    subjects, refused = {}, {}
    for name, contestant in contestants.items():
        try:
            subjects[name] = standing.enter_context(contestant())
        except RefusedError as error:
            refused[name] = str(error)
    return subjects, refused


def compete(subjects: Mapping[str, OnNodes], rounds: int) -> Mapping[str, list[Rolled]]:
    """The results of each, after one that does not count."""
    results: dict[str, list[Rolled]] = {name: [] for name in subjects}
    for number in range(1 + rounds):
        for name, subject in subjects.items():
            rolled = measure(subject, str(2 + number))
            if number:
                results[name].append(rolled)
            subject.settle()
    return results


def measure(subject: OnNodes, version: str) -> Rolled:
    """Roll under load. Raises RefusedError if it takes too long, or if the load was not what it should be."""
    before = {row["Id"] for row in subject.rows()}
    phases: dict[str, float] = {}
    most = len(before)

    def is_over() -> bool:
        nonlocal most
        rows = subject.rows()
        most = max(most, len(rows))
        fresh = [row["Status"] for row in rows if row["Id"] not in before]
        if len(fresh) >= len(before):
            phases.setdefault("created", time.monotonic() - began)
        if sum(HEALTHY in status for status in fresh) >= len(before):
            phases.setdefault("healthy", time.monotonic() - began)
        return "healthy" in phases and len(rows) == len(fresh) == len(before)

    with Load(subject.port, rate=RATE, addresses=subject.addresses) as load:
        began = time.monotonic()
        rolling = threading.Thread(target=subject.release, args=(version,))
        # Some commands return only at the end.
        rolling.start()
        seconds = wait_until("all replicas are new", is_over) - began
        rolling.join()
    if len(load.shots) < LEAST_RATE * load.seconds:
        raise RefusedError(f"only {len(load.shots)} requests in {load.seconds:.1f} s")
    lost = Counter(shot.kind.name for shot in load.lost)
    surge = most - len(before)
    return Rolled(phases["created"], phases["healthy"], seconds, surge, len(load.shots), lost)


def _rows(
    application: str,
    setting: Setting,
    refused: Mapping[str, str],
    results: Mapping[str, Sequence[Rolled]],
    lab: Lab,
) -> Iterator[Row]:
    what = f"rolling update on 3 nodes, {setting.replicas} replicas, {setting.boot:g} s boot, {application}"
    limit = f"{setting.boot:g} s boot + {lab.rate(setting.replicas)}"
    mine = results[OURS]
    for name in (SWARM, ROLLOUT):
        if name in refused:
            why = f"{name} was left out: {refused[name]}."
            yield Row(what, SECONDS, _samples(mine, _seconds), limit, name, note=why)
            continue
        theirs = results[name]
        goal = Goal(ratio_at_most=1.2) if name == SWARM else None
        note = f"{_phases(OURS, mine)}; {_phases(name, theirs)}."
        if name == ROLLOUT:
            note += " It knows one engine and Compose: its replicas, its HAProxy and all requests are on one node."
        yield Row(
            what, SECONDS, _samples(mine, _seconds), limit, name, _samples(theirs, _seconds), goal, note
        )
        asked = sum(each.requests for each in mine) // len(mine)
        yield Row(
            f"{what}: failed requests",
            BARE,
            _samples(mine, _failed),
            f"0 of about {asked:,}",
            name,
            _samples(theirs, _failed),
            Goal(at_most=0),
            f"Of {name}, in all rounds: {_kinds(theirs)}.",
        )
        yield Row(
            f"{what}: replicas beyond {setting.replicas}",
            BARE,
            _samples(mine, _surge),
            f"{setting.replicas}",
            name,
            _samples(theirs, _surge),
        )


def _samples(rolled: Sequence[Rolled], value: Callable[[Rolled], float]) -> tuple[float, ...]:
    return tuple(float(value(each)) for each in rolled)


def _seconds(rolled: Rolled) -> float:
    return rolled.seconds


def _failed(rolled: Rolled) -> float:
    return rolled.lost.total()


def _surge(rolled: Rolled) -> float:
    return rolled.surge


def _kinds(rolled: Sequence[Rolled]) -> str:
    lost = sum((each.lost for each in rolled), Counter[str]())
    total = sum(each.requests for each in rolled)
    named = ", ".join(f"{count} × {kind}" for kind, count in sorted(lost.items()))
    return f"{named or 'none'}, of {total:,}"


def _phases(name: str, rolled: Sequence[Rolled]) -> str:
    created, healthy = median(each.created for each in rolled), median(each.healthy for each in rolled)
    return f"{name}: all new ones run after {created:.2f} s and are healthy after {healthy:.2f} s"


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab, *map(int, sys.argv[1:]))))
