"""Waiting for a controller in another process: it writes status files, and they are looked at until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.cli.errors import Failure

if TYPE_CHECKING:
    from reconciler.cli.progress import Report
    from reconciler.store.base import Objects

__all__ = ["Ending", "until_gone", "until_settled"]

LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Ending:
    """How a service ended up: `reason` is CamelCase, for programs; `message` a sentence."""

    ready: bool
    reason: str
    message: str


def until_settled(
    objects: Objects,
    generations: Mapping[str, int],
    timeout: float,
    report: Report,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Ending]:
    """Wait at most `timeout` seconds until each service is Ready, or failed for good, at its generation."""
    from reconciler.cli.progress import Look
    from reconciler.cli.summary import Verdict, summarize

    deadline = clock() + timeout
    endings: dict[str, Ending] = {}
    while True:
        late = clock() >= deadline
        for name in generations.keys() - endings.keys():
            stored, status = objects.get(name), objects.status(name)
            if stored is None:
                endings[name] = Ending(False, "Deleted", "was deleted meanwhile")
                continue
            summary = summarize(stored, status)
            if stored.service.metadata.generation > generations[name]:
                endings[name] = Ending(False, "Superseded", "its spec was changed again meanwhile")
            elif summary.verdict is not Verdict.MOVING:
                ready = summary.verdict is Verdict.READY
                endings[name] = Ending(ready, summary.reason, summary.message)
            elif late:
                endings[name] = Ending(
                    False, "TimedOut", f"not Ready within {timeout:g} s: {summary.message}"
                )
            report(Look(name, status.replicas, summary.message, done=name in endings))
        if len(endings) == len(generations):
            return endings
        sleep(LOOK_SECONDS)


def until_gone(
    objects: Objects,
    name: str,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the running controller has removed a service. Raises Failure after `timeout` seconds."""
    deadline = clock() + timeout
    while objects.get(name) is not None:
        if clock() >= deadline:
            raise Failure(
                f"{name} is still being deleted after {timeout:g} s; `vaultctl describe {name}` says more"
            )
        sleep(LOOK_SECONDS)
