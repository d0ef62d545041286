"""Takes the steps of an adoption or a release.

A step is taken only after the record of the one before it is on the disk, so the command can be killed anywhere and
repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.api import VaultError
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.applying import apply
from reconciler.app.converging import Machine, conclude, delete, settle
from reconciler.core.adoption.record import Adoption, FormerContainer, Stage
from reconciler.core.adoption.steps import Act, Step, next_step
from reconciler.core.desired.build import project_of

if TYPE_CHECKING:
    from reconciler.controller.report.outcome import Report
    from reconciler.core.adoption.found import FoundProject

__all__ = ["Foreign", "Journal", "Runner", "finish"]

DELETE_SECONDS: Final = 300.0


class Foreign(Protocol):
    """The Compose projects of an engine that are not the controller's."""

    def projects_of(self, file: Path) -> tuple[str, ...]:
        """The names of the projects with containers of this Compose file."""

    def find(self, project: str, *, ours: bool = False) -> FoundProject:
        """The containers of a project that are not the controller's, or those that are."""

    def definitions(self, project: str, file: Path, profiles: Sequence[str]) -> tuple[Mapping[str, str], str]:
        """What Compose calls the definition of each service in a file, and the version of Compose."""

    def running(self, project: str) -> tuple[str, ...]:
        """The names of the containers of any project that run, or would run again by themselves."""

    def still_running(self, containers: Iterable[FormerContainer]) -> tuple[str, ...]:
        """The names of those that have not ended."""

    def existing(self, kind: str, names: Iterable[str]) -> frozenset[str]:
        """Those of these volumes or networks that exist."""

    def sizes(self, volumes: Iterable[str]) -> Mapping[str, int]:
        """How many bytes are in these volumes."""

    def free_port(self) -> int:
        """A port that nothing listens on now."""

    def hold_back(self, containers: Sequence[FormerContainer]) -> None:
        """Keep the engine from starting these again by itself."""

    def end(self, containers: Sequence[FormerContainer]) -> None:
        """Stop containers for good, and return when they were seen to have ended."""

    def revive(self, container: FormerContainer) -> None:
        """Start a container with the restart policy that it had, and return when it is ready."""

    def remove(self, containers: Sequence[FormerContainer]) -> None:
        """Remove containers that have ended; their volumes stay."""

    def up(self, project: str, file: Path, service: str) -> None:
        """Create and start the containers of one service of a file, and return when they are ready."""


class Journal(Protocol):
    """Where records are kept."""

    def names(self) -> tuple[str, ...]:
        """The services that have a record."""

    def get(self, name: str) -> Adoption | None:
        """The record of a service."""

    def put(self, record: Adoption) -> None:
        """Write a record; on return, a power cut cannot undo it."""

    def remove(self, name: str) -> None:
        """Forget a service."""

    def locked(self, name: str) -> AbstractContextManager[None]:
        """Held by the one process that takes steps. Raises TemporaryError when another one does."""


@dataclass(frozen=True)
class Runner:
    """Takes the steps of the journal, up to the stage `last` if there is one. `store` writes the manifest if it is missing
    and stores its object; `tell` is told each step before it is taken.
    """

    machine: Machine
    foreign: Foreign
    journal: Journal
    store: Callable[[Adoption], None]
    report: Report
    tell: Callable[[Step], None]
    now: Callable[[], datetime]
    timeout: float
    last: Stage | None = None

    def run(self, record: Adoption) -> None:
        """Take all steps that are left. Raises VaultError at the first one that cannot be taken; it can be repeated."""
        self.journal.put(record)
        while record.stage is not self.last and (step := next_step(record)):
            self.tell(step)
            self._take(step, record)
            if step.after is None:
                self.journal.remove(record.name)
                return
            record = step.after
            self.journal.put(record)

    def _take(self, step: Step, record: Adoption) -> None:
        former = record.of(*step.services)
        match step.act:
            case Act.STORE:
                self.store(record)
            case Act.SETTLE:
                self._settle(record)
                self._see_ended(record.of(*record.moved))
            case Act.END:
                self.foreign.end(former)
            case Act.GIVE:
                self.foreign.hold_back(former)
            case Act.CONFIRM:
                self._see_ended(former)
            case Act.DELETE:
                self._delete(Ref(VAULT_SERVICE, record.name))
            case Act.REVIVE:
                self._see_gone(record)
                for name in step.services:
                    for each in record.of(name):
                        self.foreign.revive(each)
            case Act.UP:
                self._see_gone(record)
                for name in step.services:
                    self.foreign.up(record.project, Path(record.file), name)

    def _delete(self, ref: Ref) -> None:
        if self.machine.objects.of(ref.kind).get(ref.name) is not None:
            delete(self.machine, ref, volumes=False, timeout=DELETE_SECONDS, now=self.now())

    def _settle(self, record: Adoption) -> None:
        objects = self.machine.objects.of(VAULT_SERVICE)
        stored = objects.get(record.name)
        if stored is None:
            raise VaultError(
                f"{record.name} was deleted meanwhile; go back: vaultctl adopt {record.project} --undo --yes"
            )
        done = apply(self.machine.objects, stored.resource, stored.origin, self.now())
        conclude(settle(self.machine, [done.stored], self.timeout, self.report))

    def _see_ended(self, containers: Sequence[FormerContainer]) -> None:
        if running := self.foreign.still_running(containers):
            raise VaultError(f"{', '.join(running)} runs again, beside what has its volumes now; stop it")

    def _see_gone(self, record: Adoption) -> None:
        """One side has the volumes at a time."""
        if running := self.foreign.running(project_of(record.name)):
            raise VaultError(f"{', '.join(running)} still runs, which has the volumes; repeat the command")


def finish(record: Adoption, foreign: Foreign, journal: Journal) -> Adoption:
    """Remove the former containers; their volumes stay. Raises VaultError while one of them runs."""
    if record.stage not in (Stage.ADOPTED, Stage.FINISHED):
        raise VaultError(
            f"the adoption of {record.project} is not complete; continue: vaultctl adopt {record.project} --yes"
        )
    if running := foreign.still_running(record.former):
        raise VaultError(f"{', '.join(running)} runs; stop it first")
    foreign.remove(record.former)
    after = replace(record, stage=Stage.FINISHED, former=())
    journal.put(after)
    return after
