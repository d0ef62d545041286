"""What the controller needs of the state directory: objects as in an API server, and a record of what happened.

Objects are the truth about what users want; losing them stops the reconciler from knowing its services. Records
are history only: they never raise into a pass, because a full disk must not keep anything from being healed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from reconciler.api.reasons import Reason

if TYPE_CHECKING:
    from reconciler.api import Status, VaultService

STATE_MODE: Final = 0o711
"""Of directories on the way to what containers of other users mount: passed through, not listed, not written."""

BELL: Final = ".changed"
"""File beside the services' directories that is touched whenever an object has changed. Kernels tell late or never what
happens in a directory that has just been made; this file is in one that is watched already."""

EventType = Literal["Normal", "Warning"]
Result = Literal["", "Complete", "RolledBack", "Superseded"]
"""How the rollout of a revision ended; empty while it goes on."""
Covers = Literal["stack", "web"]


Hide = Callable[[str, str], str]
"""What takes the secrets of a service (the second argument, its name) out of a text that is about to be stored."""


def as_it_is(text: str, service: str) -> str:
    """A Hide that knows no secrets."""
    return text


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object was written: `place` is the source's path or URL, `commit` is empty outside of Git."""

    kind: Literal["apply", "directory", "git"]
    place: str
    manifest: Path
    line: int
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Somebody asked for the end of a service; the object stays until a pass has torn everything down."""

    volumes: bool
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A VaultService as it was last applied; `problem` says why its newest manifest cannot be used, or is empty;
    `problem_reason` is that in one CamelCase word.

    `service.metadata.generation` counts changes of its spec, and the files of `spec.env_from` are absolute.
    `requested_at` marks the last time that a pass was requested, whether or not the spec changed; the status has the
    mark of the last one that was answered.
    """

    service: VaultService
    origin: Origin
    deletion: Deletion | None = None
    problem: str = ""
    problem_reason: str = Reason.INVALID_MANIFEST
    requested_at: str | None = None

    @property
    def name(self) -> str:
        """Shorthand for the name of the VaultService."""
        return self.service.name

    @property
    def generation(self) -> int:
        """Shorthand for the number of changes of its spec."""
        return self.service.metadata.generation


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling a person; `count` times the same between `first_time` and `last_time`.

    `service` is empty for what concerns the whole machine.
    """

    service: str
    type: EventType
    reason: str
    message: str
    revision: str
    commit: str
    count: int
    first_time: datetime
    last_time: datetime


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a revision was rolled back: a word of Reason, a sentence, and as `evidence` the end of the log of the container
    that failed, if there was one.
    """

    reason: str
    message: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """One rollout of a service: what it was to become, who caused it, how it ended.

    `spec` is the JSON text that was handed to `open_revision`; `finished_at` is None while it goes on. `covers` says
    which workloads `revision` stands for: all of them, or those of the pool, as it did in earlier releases. `rejection`
    is there when it was rolled back and it is known why.
    """

    service: str
    number: int
    revision: str
    spec: str
    cause: str
    commit: str
    created_at: datetime
    result: Result
    finished_at: datetime | None
    covers: Covers = "stack"
    rejection: Rejection | None = None


class Objects(Protocol):
    """The objects of one state directory. Raises TemporaryError when the disk refuses, PermanentError for a file
    that cannot be understood.
    """

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""

    def get(self, name: str) -> StoredObject | None:
        """The object of that name."""

    def apply(
        self, service: VaultService, origin: Origin, *, requested_at: str | None = None
    ) -> StoredObject:
        """Store what a user wants and return it as stored; TemporaryError while the old one is being deleted.

        With `requested_at`, a mark of its own, what was seen before is no answer any more.
        """

    def mark_problem(self, name: str, text: str, reason: str = Reason.INVALID_MANIFEST) -> None:
        """Remember why the newest manifest of an object cannot be used; the object itself stays as it is."""

    def request_deletion(self, name: str, volumes: bool, now: datetime) -> None:
        """Ask for the end of a service; a second request can only add the volumes. No object: nothing to do."""

    def remove(self, name: str) -> None:
        """Remove an object and all files of its service."""

    def orphan(self, name: str) -> None:
        """Remove an object and leave the files that its containers go on using."""

    def status(self, name: str) -> Status:
        """What was last seen of a service; an empty Status if nothing was."""

    def put_status(self, name: str, status: Status) -> None:
        """Remember what was seen; writes only what differs."""

    def directory(self, name: str) -> Path:
        """The directory of a service's files."""


class Records(Protocol):
    """What happened. Nothing here raises: without a working disk writes are lost and reads are empty."""

    def record_event(
        self,
        service: str,
        type_: EventType,
        reason: str,
        message: str,
        now: datetime,
        *,
        revision: str = "",
        commit: str = "",
    ) -> None:
        """Tell people; the same again within ten minutes only counts up."""

    def events(self, service: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The newest `limit` events of one service or of all, oldest first."""

    def record_death(self, service: str, workload: str, revision: str, when: datetime, detail: str) -> None:
        """A replica ended without being asked to."""

    def deaths(
        self, service: str, revisions: Mapping[str, frozenset[str]], since: datetime
    ) -> Mapping[str, tuple[datetime, ...]]:
        """Per workload, when replicas of these revisions of it died after `since`, oldest first."""

    def open_revision(
        self, service: str, revision: str, spec: str, cause: str, commit: str, now: datetime
    ) -> int:
        """The number of the rollout towards `revision`: the newest one's if that goes on or is Complete, else a new
        one, which supersedes what was unfinished. 0 when nothing can be written.
        """

    def finish_revision(
        self, service: str, number: int, result: Result, now: datetime, rejection: Rejection | None = None
    ) -> None:
        """Say how a rollout ended; a Complete one can still be RolledBack, other ends are final."""

    def revisions(self, service: str) -> tuple[RevisionRecord, ...]:
        """All rollouts that are remembered, oldest first."""

    def last_good(self, service: str) -> RevisionRecord | None:
        """The newest rollout that is Complete."""

    def newest(self, service: str) -> RevisionRecord | None:
        """The newest rollout. If it was rolled back, its revision is not to be tried again until another one is opened;
        rolling back opens none, so it cannot be undone by itself.
        """

    def record_completion(self, service: str, workload: str, revision: str, when: datetime) -> None:
        """A job of this revision has ended well."""

    def completions(self, service: str) -> Mapping[str, frozenset[str]]:
        """Per job of a service, the revisions of it that have ended well."""

    def forget(self, service: str) -> None:
        """Forget all about a service."""
