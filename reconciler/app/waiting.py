"""Waits for a controller in another process by polling its status files until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.reasons import Reason
from reconciler.controller.report.outcome import Outcome, Progress, Report, counts_of
from reconciler.controller.report.verdict import Verdict, summarize

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.store.base import Objects

__all__ = ["until_gone", "until_settled"]

LOOK_SECONDS: Final = 0.1


def until_settled(
    objects: Objects,
    generations: Mapping[Ref, int],
    timeout: float,
    report: Report,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[Ref, Outcome]:
    """Wait at most `timeout` seconds until each object is Ready, or failed for good, at its generation."""
    deadline = clock() + timeout
    outcomes: dict[Ref, Outcome] = {}
    while True:
        late = clock() >= deadline
        for ref in generations.keys() - outcomes.keys():
            its = objects.of(ref.kind)
            stored, status = its.get(ref.name), its.status(ref.name)
            if stored is None:
                outcomes[ref] = Outcome(False, Reason.DELETED, "was deleted meanwhile")
                continue
            summary = summarize(stored, status)
            if stored.generation > generations[ref]:
                outcomes[ref] = Outcome(False, Reason.SUPERSEDED, "its spec was changed again meanwhile")
            elif summary.verdict is not Verdict.MOVING:
                ready = summary.verdict is Verdict.READY
                outcomes[ref] = Outcome(ready, summary.reason, summary.message)
            elif late:
                outcomes[ref] = Outcome(
                    False, Reason.TIMED_OUT, f"not Ready within {timeout:g} s: {summary.message}"
                )
            report(Progress(ref.label, counts_of(status), summary.message, done=ref in outcomes))
        if len(outcomes) == len(generations):
            return outcomes
        sleep(LOOK_SECONDS)


def until_gone(
    objects: Objects,
    ref: Ref,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the running controller has removed an object. Raises VaultError when that needs something else first, and
    TemporaryError after `timeout` seconds.
    """
    deadline = clock() + timeout
    its = objects.of(ref.kind)
    while (stored := its.get(ref.name)) is not None:
        found = summarize(stored, its.status(ref.name))
        if stored.deletion is not None and found.verdict is Verdict.FAILED:
            raise VaultError(f"{ref.label} is not deleted: {found.reason}: {found.message}")
        if clock() >= deadline:
            raise TemporaryError(
                f"{ref.label} is still being deleted after {timeout:g} s; "
                f"`vaultctl describe {ref.label}` says more"
            )
        sleep(LOOK_SECONDS)
