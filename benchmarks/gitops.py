"""The time from a push to the desired state: 3 replicas become 5 and 3 again, with a webhook and with polling.

    .venv/bin/python benchmarks/gitops.py

git's own backend serves Git over HTTP. A change has arrived when the service is Ready with it and HAProxy has exactly the
desired number of replicas UP. The same change of a plain file takes turns with both; the difference is the cost of Git.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.row import SECONDS, Goal, Row
from tests.e2e.farm import Farm
from tests.e2e.stage import staged
from tests.sources.git_servers import serving

ROUNDS: Final = 5
FEW: Final = 3
MANY: Final = 5
POLL_SECONDS: Final = 5
LONG: Final = "1h"
GOAL_SECONDS: Final = 2.0
CALM_SECONDS: Final = 0.5

WEBHOOK: Final = "a webhook"
POLL: Final = f"polling every {POLL_SECONDS} s"
FILE: Final = "a plain file"

Change = Callable[[int], float]
"""Requests this number of replicas, and returns the time at which the request was published."""


def rows(lab: Lab) -> Iterator[Row]:
    """Both directions, in both ways."""
    seconds: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        ways = {way: begin(stack) for way, begin in WAYS.items()}
        for _ in range(ROUNDS):
            for replicas in (MANY, FEW):
                for way, (farm, change) in ways.items():
                    seconds.setdefault((way, replicas), []).append(_arrival(farm, change, replicas))
    for way, goal in ((WEBHOOK, GOAL_SECONDS), (POLL, POLL_SECONDS + GOAL_SECONDS)):
        for before, replicas in ((FEW, MANY), (MANY, FEW)):
            what = f"push, by {way} → {before} replicas are {replicas}"
            ours, file = tuple(seconds[way, replicas]), tuple(seconds[FILE, replicas])
            limit = lab.one_start() if replicas == MANY else "nothing has to start"
            yield Row(what, SECONDS, ours, limit, f"{FILE}, saved", file, Goal(at_most=goal))


def _arrival(farm: Farm, change: Change, replicas: int) -> float:
    time.sleep(CALM_SECONDS)
    generation = farm.generation()
    began = change(replicas)

    def arrived() -> bool:
        return (
            farm.generation() > generation
            and farm.ready()
            and farm.stage.servers_up() == replicas == len(farm.stage.replicas())
        )

    return wait_until(f"{replicas} replicas serve", arrived) - began


# Ways


def _by_webhook(stack: ExitStack) -> tuple[Farm, Change]:
    farm = _farm(stack, interval=LONG)
    return farm, partial(_push_and_call, farm)


def _by_polling(stack: ExitStack) -> tuple[Farm, Change]:
    farm = _farm(stack, interval=f"{POLL_SECONDS}s")
    return farm, partial(_push, farm)


def _by_file(stack: ExitStack) -> tuple[Farm, Change]:
    farm = Farm.made(stack.enter_context(staged(plugin="whoami", replicas=FEW)))
    stack.enter_context(farm.stage.controller())
    farm.stage.converged()
    return farm, partial(_write, farm)


WAYS: Final = {WEBHOOK: _by_webhook, POLL: _by_polling, FILE: _by_file}


def _farm(stack: ExitStack, interval: str) -> Farm:
    farm = Farm.made(stack.enter_context(staged(plugin="whoami", replicas=FEW)))
    url = stack.enter_context(serving(farm.stage.root))
    stack.enter_context(farm.controller(f"{url}/{farm.repository.bare.name}", interval=interval))
    farm.stage.converged()
    return farm


def _push(farm: Farm, replicas: int) -> float:
    farm.push(replicas=replicas)
    return time.monotonic()


def _push_and_call(farm: Farm, replicas: int) -> float:
    began = _push(farm, replicas)
    assert farm.hook() == 202
    return began


def _write(farm: Farm, replicas: int) -> float:
    began = time.monotonic()
    farm.stage.write(replicas=replicas)
    return began


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
