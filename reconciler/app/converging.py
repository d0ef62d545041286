"""Converges services: by a controller in another process, or in this one if none runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.api.errors import VaultError
from reconciler.app.waiting import until_gone, until_settled
from reconciler.controller.report.outcome import Outcome, Progress, Report

if TYPE_CHECKING:
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Machine", "conclude", "delete", "settle"]


class Machine(Protocol):
    """A state directory, and the operations on it."""

    @property
    def objects(self) -> Objects:
        """Objects and their statuses."""

    def controller_is_running(self) -> bool:
        """Whether a controller in another process works on it."""

    def converge(
        self, names: Collection[str], timeout: float, on_progress: Report | None = None
    ) -> Mapping[str, Outcome]:
        """Work on these services in this process until each is Ready, deleted or failed for good, or the time is over."""


def settle(
    machine: Machine, stored: Sequence[StoredObject], timeout: float, report: Report
) -> Mapping[str, Outcome]:
    """Wait at most `timeout` seconds until each service is as wanted or has failed; without a controller, do its work."""
    generations = {each.name: each.generation for each in stored}
    if machine.controller_is_running():
        return until_settled(machine.objects, generations, timeout, report)

    def on_progress(progress: Progress) -> None:
        # Events of the engine trigger passes over other services too.
        if progress.name in generations:
            report(progress)

    outcomes = machine.converge(tuple(generations), timeout, on_progress)
    for name, outcome in outcomes.items():
        report(Progress(name, machine.objects.status(name).replicas, outcome.message, done=True))
    return outcomes


def conclude(outcomes: Mapping[str, Outcome]) -> None:
    """Raises VaultError that names every service that is not Ready, and why."""
    failed = [
        f"{name} is not Ready: {end.reason}: {end.message}" for name, end in outcomes.items() if not end.ready
    ]
    if failed:
        raise VaultError("\n".join(failed))


def delete(machine: Machine, name: str, *, volumes: bool, timeout: float, now: datetime) -> None:
    """Request the deletion of a service, and return when it is deleted; its volumes are kept unless `volumes`.

    Raises VaultError when it still exists after `timeout` seconds.
    """
    machine.objects.request_deletion(name, volumes, now)
    if machine.controller_is_running():
        until_gone(machine.objects, name, timeout)
        return
    outcome = machine.converge([name], timeout)[name]
    if not outcome.ready:
        raise VaultError(f"{name} is not deleted: {outcome.reason}: {outcome.message}")
