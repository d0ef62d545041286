"""Converges objects: by a controller in another process, or in this one if none runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.api.errors import VaultError
from reconciler.app.waiting import until_gone, until_settled
from reconciler.controller.report.outcome import Outcome, Progress, Report, counts_of

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Changes", "Machine", "conclude", "delete", "settle"]


class Changes(Protocol):
    """Changes of objects and statuses since the last wait."""

    def wait(self, seconds: float) -> None:
        """Return after a change, at the latest after `seconds`, or earlier."""


class Machine(Protocol):
    """A state directory, and the operations on it."""

    @property
    def objects(self) -> Objects:
        """Objects and their statuses."""

    def controller_is_running(self) -> bool:
        """Whether a controller in another process works on it."""

    def changes(self) -> AbstractContextManager[Changes]:
        """Waits for changes of objects and statuses."""

    def converge(
        self, refs: Collection[Ref], timeout: float, on_progress: Report | None = None
    ) -> Mapping[Ref, Outcome]:
        """Work on these objects in this process until each is Ready, deleted or failed for good, or the time is over."""


def settle(
    machine: Machine, stored: Sequence[StoredObject[Any]], timeout: float, report: Report
) -> Mapping[Ref, Outcome]:
    """Wait at most `timeout` seconds until each object is as wanted or has failed; without a controller, do its work."""
    generations = {each.ref: each.generation for each in stored}
    if machine.controller_is_running():
        with machine.changes() as changes:
            return until_settled(machine.objects, generations, timeout, report, pause=changes.wait)
    labels = {ref.label for ref in generations}

    def on_progress(progress: Progress) -> None:
        # Events of the engine trigger passes over other objects too.
        if progress.name in labels:
            report(progress)

    outcomes = machine.converge(tuple(generations), timeout, on_progress)
    for ref, outcome in outcomes.items():
        counts = counts_of(machine.objects.of(ref.kind).status(ref.name))
        report(Progress(ref.label, counts, outcome.message, done=True))
    return outcomes


def conclude(outcomes: Mapping[Ref, Outcome]) -> None:
    """Raises VaultError that names every object that is not Ready, and why."""
    failed = [
        f"{ref.label} is not Ready: {end.reason}: {end.message}"
        for ref, end in outcomes.items()
        if not end.ready
    ]
    if failed:
        raise VaultError("\n".join(failed))


def delete(machine: Machine, ref: Ref, *, volumes: bool, timeout: float, now: datetime) -> None:
    """Request the deletion of an object, and return when it is deleted; its volumes are kept unless `volumes`.

    Raises VaultError when it still exists after `timeout` seconds.
    """
    machine.objects.of(ref.kind).request_deletion(ref.name, volumes, now)
    if machine.controller_is_running():
        with machine.changes() as changes:
            until_gone(machine.objects, ref, timeout, pause=changes.wait)
        return
    outcome = machine.converge([ref], timeout)[ref]
    if not outcome.ready:
        raise VaultError(f"{ref.label} is not deleted: {outcome.reason}: {outcome.message}")
