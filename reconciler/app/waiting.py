"""Waits for a controller in another process by polling its status files until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import TemporaryError
from reconciler.api.reasons import Reason
from reconciler.controller.report.outcome import Outcome, Progress, Report
from reconciler.controller.report.verdict import Verdict, summarize

if TYPE_CHECKING:
    from reconciler.store.base import Objects

__all__ = ["until_gone", "until_settled"]

LOOK_SECONDS: Final = 0.1


def until_settled(
    objects: Objects,
    generations: Mapping[str, int],
    timeout: float,
    report: Report,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Outcome]:
    """Wait at most `timeout` seconds until each service is Ready, or failed for good, at its generation."""
    deadline = clock() + timeout
    outcomes: dict[str, Outcome] = {}
    while True:
        late = clock() >= deadline
        for name in generations.keys() - outcomes.keys():
            stored, status = objects.get(name), objects.status(name)
            if stored is None:
                outcomes[name] = Outcome(False, Reason.DELETED, "was deleted meanwhile")
                continue
            summary = summarize(stored, status)
            if stored.service.metadata.generation > generations[name]:
                outcomes[name] = Outcome(False, Reason.SUPERSEDED, "its spec was changed again meanwhile")
            elif summary.verdict is not Verdict.MOVING:
                ready = summary.verdict is Verdict.READY
                outcomes[name] = Outcome(ready, summary.reason, summary.message)
            elif late:
                outcomes[name] = Outcome(
                    False, Reason.TIMED_OUT, f"not Ready within {timeout:g} s: {summary.message}"
                )
            report(Progress(name, status.replicas, summary.message, done=name in outcomes))
        if len(outcomes) == len(generations):
            return outcomes
        sleep(LOOK_SECONDS)


def until_gone(
    objects: Objects,
    name: str,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the running controller has removed a service. Raises TemporaryError after `timeout` seconds."""
    deadline = clock() + timeout
    while objects.get(name) is not None:
        if clock() >= deadline:
            raise TemporaryError(
                f"{name} is still being deleted after {timeout:g} s; `vaultctl describe {name}` says more"
            )
        sleep(LOOK_SECONDS)
