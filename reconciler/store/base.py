"""The interfaces of the state directory: objects as in an API server, and records of what happened.

Objects are the desired state; without them the reconciler does not know its services. Records are history only: they
never raise into a pass, because a full disk must not prevent healing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, Protocol, Self

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.api.kinds import KINDS, Kind, Ref
from reconciler.api.reasons import Reason
from reconciler.api.source_kind import SourceKind

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from reconciler.api import Status, VaultService
    from reconciler.api.resource import Resource
    from reconciler.api.status import ObjectStatus

    # Most code is about one kind: without parameters, an object is a VaultService.
    ResourceT = TypeVar("ResourceT", bound=Resource, default=VaultService)
    StatusT = TypeVar("StatusT", bound=ObjectStatus, default=Status)
else:
    # The models are not imported here, so that reading the history does not build them.
    from typing import TypeVar

    ResourceT = TypeVar("ResourceT")
    StatusT = TypeVar("StatusT")

STATE_MODE: Final = 0o711
"""Mode of directories above those that containers of other users mount: traversable, not listable, not writable."""

BELL: Final = ".changed"
"""File beside the directories of a kind's objects that is touched whenever one changes. inotify can miss events in a newly
created directory; this file is in a directory that is already watched."""
STATUS_BELL: Final = ".status"
"""The same for what passes write themselves, statuses and removals: the loop does not listen to it."""

NO_MANIFEST: Final = Path("/nonexistent/kubernetes-api")
"""The manifest of an object that no file has, since it was written over the API: relative paths lead nowhere."""

EventType = Literal["Normal", "Warning"]
Result = Literal["", "Complete", "RolledBack", "Superseded"]
"""How the rollout of a revision ended; empty while it is in progress."""
Covers = Literal["stack", "web"]


Hide = Callable[[str, str], str]
"""Removes the secrets of an object (the second argument is its `Ref.label`) from a text before it is stored."""


def as_it_is(text: str, label: str) -> str:
    """A Hide without secrets: returns the text unchanged."""
    return text


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object was written: `place` is the source's path or URL, `commit` is empty outside of Git."""

    kind: Literal["apply", SourceKind]
    place: str
    manifest: Path
    line: int
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A requested deletion; the object stays until a pass has removed everything."""

    volumes: bool
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class ApiMetadata:
    """Metadata that only clients of the Kubernetes API set. `deletion` is one that was requested and waits for the clients
    that `finalizers` name.
    """

    finalizers: tuple[str, ...] = ()
    owner_references: tuple[Mapping[str, Any], ...] = ()
    managed_fields: tuple[Mapping[str, Any], ...] = ()
    deletion: Deletion | None = None


class ChangedError(TemporaryError):
    """The object is no longer what the caller takes it for."""


@dataclass(frozen=True, slots=True)
class StoredObject(Generic[ResourceT]):
    """A resource as it was last applied. `problem` says why its newest manifest cannot be used, or is empty;
    `problem_reason` is the same as one CamelCase word.

    `resource.metadata.generation` counts changes of its spec, and its settings files are absolute.
    `evicted` are containers that are to be replaced, by their IDs, and when that was asked for.
    `requested_at` marks the last request for a pass, whether or not the spec changed; the status has the mark of the
    last request that a pass has answered.
    """

    resource: ResourceT
    origin: Origin
    deletion: Deletion | None = None
    problem: str = ""
    problem_reason: str = Reason.INVALID_MANIFEST
    requested_at: str | None = None
    api: ApiMetadata | None = None
    evicted: Mapping[str, datetime] | None = None

    @property
    def name(self) -> str:
        """Shorthand for the name of the resource."""
        return self.resource.name

    @property
    def ref(self) -> Ref:
        """Shorthand for its kind and name."""
        return self.resource.ref

    @property
    def generation(self) -> int:
        """Shorthand for the number of changes of its spec."""
        return self.resource.metadata.generation


@dataclass(frozen=True, slots=True)
class Event:
    """An event for users; it occurred `count` times between `first_time` and `last_time`.

    `kind` is the name of the object's kind. It and `name` are empty if the event concerns the whole machine.
    """

    kind: str
    name: str
    type: EventType
    reason: str
    message: str
    revision: str
    commit: str
    count: int
    first_time: datetime
    last_time: datetime

    @property
    def subject(self) -> str:
        """The object's label; empty if the event concerns the whole machine."""
        # A later release may have recorded a kind that this one does not know.
        if self.kind in KINDS:
            return Ref(KINDS[self.kind], self.name).label
        return f"{self.kind.lower()}/{self.name}" if self.kind else ""


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
    """One rollout of an object: its target, its cause and its result.

    `spec` is the JSON text that was handed to `open_revision`; `finished_at` is None while it goes on. `covers` says
    which workloads `revision` stands for: all of them, or those of the pool, as it did in earlier releases. `rejection`
    is there when it was rolled back and it is known why.
    """

    name: str
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


class UnreadableError(PermanentError):
    """The file of an object cannot be parsed."""

    reason: ClassVar[Reason] = Reason.OBJECT_UNREADABLE


class Objects(Protocol[ResourceT, StatusT]):
    """The objects of one kind in a state directory. Raises TemporaryError for disk errors, UnreadableError for a file that
    cannot be parsed.
    """

    def of(self, kind: Kind) -> Objects[Any, Any]:
        """The objects of another kind in the same state directory."""

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""

    def get(self, name: str) -> StoredObject[ResourceT] | None:
        """The object of that name."""

    def kept(self, name: str) -> StoredObject[ResourceT] | None:
        """The object of that name as it was last written, for when `get` cannot read it; None if that is lost too."""

    def stamp(self) -> object | None:
        """Another one after an object of this kind came, changed or went; None where that is not known."""

    def since(self, name: str) -> datetime | None:
        """When the object of that name was first applied; None without one."""

    def apply(
        self, resource: ResourceT, origin: Origin, *, requested_at: str | None = None
    ) -> StoredObject[ResourceT]:
        """Store a spec and return the stored object; TemporaryError while the old object is being deleted. A deletion that
        waits for other objects is taken back; see `Kind.deletion_waits`.

        `requested_at` is a unique mark: a status from an earlier pass does not answer this request.
        """

    def mark_problem(self, name: str, text: str, reason: str = Reason.INVALID_MANIFEST) -> None:
        """Remember why the newest manifest of an object cannot be used; the object itself stays as it is."""

    def request_deletion(self, name: str, volumes: bool, now: datetime) -> None:
        """Request the deletion of an object; a second request can only add the volumes. No-op without an object."""

    def request_pass(self, name: str, requested_at: str) -> None:
        """Request a pass over an object with a unique mark, and change nothing else. No-op without an object."""

    def remove(self, name: str) -> None:
        """Remove an object and all its files; one whose deletion was taken back meanwhile stays."""

    def orphan(self, name: str) -> None:
        """Remove an object and keep the files that its containers still use."""

    def status(self, name: str) -> StatusT:
        """The last status of an object; an empty one if there is none."""

    def put_status(self, name: str, status: StatusT) -> None:
        """Store the status; writes only if it differs."""

    def directory(self, name: str) -> Path:
        """The directory of an object's files."""


class Readable(Protocol):
    """Where objects of one kind are read."""

    def get(self, name: str) -> StoredObject[Any] | None:
        """The object of that name."""

    def kept(self, name: str) -> StoredObject[Any] | None:
        """The object of that name as it was last written."""


def readable(objects: Readable, name: str) -> StoredObject[Any] | None:
    """The object of that name; one that cannot be read as it was last written, with what is wrong as its `problem`.

    Raises VaultError if that is lost too.
    """
    try:
        return objects.get(name)
    except (UnreadableError, TemporaryError) as error:
        if (kept := objects.kept(name)) is None:
            raise
        return replace(kept, problem=str(error), problem_reason=Reason.OBJECT_UNREADABLE)


class WritableObjects(Objects[ResourceT, StatusT], Protocol[ResourceT, StatusT]):
    """Objects that clients of the Kubernetes API write."""

    def of(self, kind: Kind) -> WritableObjects[Any, Any]:
        """The objects of another kind in the same state directory."""

    def write(
        self, resource: ResourceT, origin: Origin, api: ApiMetadata, before: StoredObject[ResourceT] | None
    ) -> StoredObject[ResourceT]:
        """Like `apply`, with the metadata of API clients, if the object is still `before`. Raises ChangedError."""

    def request_eviction(self, name: str, container: str, among: Collection[str], now: datetime) -> None:
        """Request the replacement of a container; `among` are those that there are. No-op without an object."""


def refs(objects: Objects[Any, Any]) -> tuple[Ref, ...]:
    """Every object of every kind: the kinds in their order, the names sorted."""
    return tuple(Ref(kind, name) for kind in KINDS.values() for name in objects.of(kind).names())


class Records(Protocol):
    """The history of one kind. No method raises: without a working disk, writes are lost and reads are empty."""

    def of(self, kind: Kind) -> Self:
        """The history of another kind in the same file."""

    def record_event(
        self,
        name: str,
        type_: EventType,
        reason: str,
        message: str,
        now: datetime,
        *,
        revision: str = "",
        commit: str = "",
    ) -> None:
        """Record an event, of the whole machine if `name` is empty; the same event within ten minutes only increments its
        count.
        """

    def events(self, name: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The newest `limit` events of one object, of the machine if `name` is empty, or of all, oldest first."""

    def record_death(self, name: str, workload: str, revision: str, when: datetime, detail: str) -> None:
        """Record that a replica exited unexpectedly."""

    def deaths(
        self, name: str, revisions: Mapping[str, frozenset[str]], since: datetime
    ) -> Mapping[str, tuple[datetime, ...]]:
        """Times per workload at which replicas of these revisions died after `since`, oldest first."""

    def open_revision(
        self, name: str, revision: str, spec: str, cause: str, commit: str, now: datetime
    ) -> int:
        """The number of the rollout to `revision`: the newest rollout if it is in progress or Complete, else a new one,
        which supersedes unfinished ones. 0 if nothing can be written.
        """

    def finish_revision(
        self, name: str, number: int, result: Result, now: datetime, rejection: Rejection | None = None
    ) -> None:
        """Say how a rollout ended; a Complete one can still be RolledBack, other ends are final."""

    def revisions(self, name: str) -> tuple[RevisionRecord, ...]:
        """All stored rollouts, oldest first."""

    def last_good(self, name: str) -> RevisionRecord | None:
        """The newest rollout that is Complete."""

    def newest(self, name: str) -> RevisionRecord | None:
        """The newest rollout. If it was rolled back, its revision is not retried until another rollout is opened; a
        rollback opens none, so the next pass cannot undo it.
        """

    def record_completion(self, name: str, workload: str, revision: str, when: datetime) -> None:
        """Record that a job of this revision has succeeded."""

    def completions(self, name: str) -> Mapping[str, frozenset[str]]:
        """The successful revisions of each job of an object."""

    def forget(self, name: str) -> None:
        """Delete the history of an object."""
