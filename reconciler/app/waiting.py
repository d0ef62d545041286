"""Waits for a controller in another process until a deadline, by what it writes into the state directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.reasons import Reason
from reconciler.app.documents import resource_document
from reconciler.controller.report.outcome import Outcome, Progress, Report, counts_of
from reconciler.controller.report.verdict import Verdict, summarize

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.app.goals import Goal
    from reconciler.store.base import Objects

__all__ = ["until_gone", "until_met", "until_settled"]


def until_settled(
    objects: Objects,
    generations: Mapping[Ref, int],
    timeout: float,
    report: Report,
    *,
    pause: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
) -> dict[Ref, Outcome]:
    """Wait at most `timeout` seconds until each object is Ready, or failed for good, at its generation. `pause` returns
    after a change, at the latest after the seconds that it is given.
    """
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
        pause(deadline - clock())


def until_met(
    objects: Objects,
    refs: Iterable[Ref],
    goal: Goal,
    timeout: float,
    tell: Callable[[Ref], None],
    *,
    pause: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait at most `timeout` seconds, none at all if it is 0, until each object meets the goal; `tell` is called for each.

    `pause` returns after a change, at the latest after the seconds that it is given. Raises VaultError for an object that
    is deleted, unless that is the goal, and TemporaryError that says what is missing at the end.
    """
    deadline = clock() + timeout
    left = dict.fromkeys(refs)
    while True:
        late = clock() >= deadline
        for ref in tuple(left):
            its = objects.of(ref.kind)
            stored, status = its.get(ref.name), its.status(ref.name)
            document = None if stored is None else resource_document(stored, status, its.since(ref.name))
            if goal.is_met(document):
                del left[ref]
                tell(ref)
            elif stored is None and goal.text != "create":
                raise VaultError(f"{ref.label} was deleted, so {goal.text} cannot be met")
        if not left:
            return
        if late:
            raise TemporaryError("\n".join(_missing(objects, ref, goal, timeout) for ref in left))
        pause(deadline - clock())


def _missing(objects: Objects, ref: Ref, goal: Goal, timeout: float) -> str:
    its = objects.of(ref.kind)
    stored = its.get(ref.name)
    state = f": {summarize(stored, its.status(ref.name)).message}" if stored else ""
    return f"timed out after {timeout:g} s waiting for {goal.text} of {ref.label}{state}"


def until_gone(
    objects: Objects,
    ref: Ref,
    timeout: float,
    *,
    pause: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the running controller has removed an object; `pause` is that of the others. Raises VaultError when that
    needs something else first, and TemporaryError after `timeout` seconds.
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
        pause(deadline - clock())
