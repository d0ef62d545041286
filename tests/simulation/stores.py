"""The state directory of a simulated controller: the same promises as the files and the database, without a disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from reconciler.api.kinds import VAULT_SERVICE, Kind
from reconciler.api.reasons import Reason
from reconciler.store.base import (
    Deletion,
    Event,
    EventType,
    Objects,
    Origin,
    Rejection,
    Result,
    RevisionRecord,
    StoredObject,
)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin("apply", "simulation", Path("simulation.yaml"), 1)


class MemoryObjects:
    """What users want; survives every crash."""

    def __init__(self, kind: Kind = VAULT_SERVICE, kinds: dict[Kind, MemoryObjects] | None = None) -> None:
        self._kind = kind
        self._kinds = {} if kinds is None else kinds
        self._kinds[kind] = self
        self._objects: dict[str, StoredObject[Any]] = {}
        self._status: dict[str, Any] = {}
        self._since: dict[str, datetime] = {}
        self._changes = 0

    def of(self, kind: Kind) -> Objects[Any, Any]:
        return self._kinds.get(kind) or MemoryObjects(kind, self._kinds)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._objects))

    def get(self, name: str) -> StoredObject[Any] | None:
        return self._objects.get(name)

    def kept(self, name: str) -> StoredObject[Any] | None:
        return self._objects.get(name)

    def stamp(self) -> object | None:
        return self._changes

    def since(self, name: str) -> datetime | None:
        return self._since.get(name)

    def apply(self, resource: Any, origin: Origin, *, requested_at: str | None = None) -> StoredObject[Any]:
        before = self._objects.get(resource.name)
        generation = before.resource.metadata.generation if before else 0
        if before is None or before.resource.spec != resource.spec:
            generation += 1
        metadata = resource.metadata.model_copy(update={"generation": generation})
        mark = requested_at or (before.requested_at if before else None)
        stored = StoredObject(
            resource.model_copy(update={"metadata": metadata}),
            origin,
            requested_at=mark,
            evicted=before.evicted if before else None,
        )
        self._objects[resource.name] = stored
        self._changes += 1
        # One after the other: a simulation has no clock of its own.
        self._since.setdefault(resource.name, BEGINNING + timedelta(seconds=len(self._since)))
        return stored

    def mark_problem(self, name: str, text: str, reason: str = Reason.INVALID_MANIFEST) -> None:
        self._objects[name] = replace(self._objects[name], problem=text)

    def request_deletion(self, name: str, volumes: bool, now: datetime) -> None:
        self._objects[name] = replace(self._objects[name], deletion=Deletion(volumes, now))
        self._changes += 1

    def request_pass(self, name: str, requested_at: str) -> None:
        self._objects[name] = replace(self._objects[name], requested_at=requested_at)

    def request_eviction(self, name: str, container: str, among: Collection[str], now: datetime) -> None:
        kept = {key: when for key, when in (self._objects[name].evicted or {}).items() if key in among}
        self._objects[name] = replace(self._objects[name], evicted={container: now, **kept})
        self._changes += 1

    def remove(self, name: str) -> None:
        for known in (self._objects, self._status, self._since):
            known.pop(name, None)
        self._changes += 1

    def orphan(self, name: str) -> None:
        self.remove(name)

    def status(self, name: str) -> Any:
        return self._status.get(name) or self._kind.load_model().status_model()()

    def put_status(self, name: str, status: Any) -> None:
        self._status[name] = status

    def directory(self, name: str) -> Path:
        return Path("/state") / self._kind.directory / name


class MemoryRecords:
    """What happened; a simulation may lose it at any time by making a new one."""

    def __init__(self, kind: Kind = VAULT_SERVICE) -> None:
        self._kind = kind
        self._kinds: dict[Kind, Self] = {}
        self._deaths: list[tuple[str, str, str, datetime]] = []
        self._revisions: dict[str, list[RevisionRecord]] = {}
        self._completions: set[tuple[str, str, str]] = set()

    def copy(self) -> MemoryRecords:
        """As they are now."""
        made = MemoryRecords(self._kind)
        made.take(self)
        return made

    def take(self, other: MemoryRecords) -> None:
        """Be what others are."""
        self._deaths, self._completions = list(other._deaths), set(other._completions)
        self._revisions = {name: list(records) for name, records in other._revisions.items()}

    def of(self, kind: Kind) -> Self:
        if kind == self._kind:
            return self
        return self._kinds.setdefault(kind, type(self)(kind))

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
        """Events are for people; the story of a simulation tells more."""

    def events(self, name: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        return ()

    def record_death(self, name: str, workload: str, revision: str, when: datetime, detail: str) -> None:
        self._deaths.append((name, workload, revision, when))

    def deaths(
        self, name: str, revisions: Mapping[str, frozenset[str]], since: datetime
    ) -> Mapping[str, tuple[datetime, ...]]:
        found: dict[str, list[datetime]] = {}
        for owner, workload, revision, when in self._deaths:
            if owner == name and revision in revisions.get(workload, ()) and when > since:
                found.setdefault(workload, []).append(when)
        return {workload: tuple(sorted(times)) for workload, times in found.items()}

    def open_revision(
        self, name: str, revision: str, spec: str, cause: str, commit: str, now: datetime
    ) -> int:
        records = self._revisions.setdefault(name, [])
        if records and records[-1].revision == revision and records[-1].result in ("", "Complete"):
            return records[-1].number
        if records and not records[-1].result:
            records[-1] = replace(records[-1], result="Superseded", finished_at=now)
        number = len(records) + 1
        records.append(RevisionRecord(name, number, revision, spec, cause, commit, now, "", None))
        return number

    def finish_revision(
        self, name: str, number: int, result: Result, now: datetime, rejection: Rejection | None = None
    ) -> None:
        records = self._revisions.get(name, [])
        if 0 < number <= len(records):
            record = records[number - 1]
            if not record.result or (record.result == "Complete" and result == "RolledBack"):
                records[number - 1] = replace(record, result=result, finished_at=now, rejection=rejection)

    def revisions(self, name: str) -> tuple[RevisionRecord, ...]:
        return tuple(self._revisions.get(name, ()))

    def last_good(self, name: str) -> RevisionRecord | None:
        good = (record for record in reversed(self.revisions(name)) if record.result == "Complete")
        return next(good, None)

    def newest(self, name: str) -> RevisionRecord | None:
        records = self.revisions(name)
        return records[-1] if records else None

    def record_completion(self, name: str, workload: str, revision: str, when: datetime) -> None:
        self._completions.add((name, workload, revision))

    def completions(self, name: str) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for owner, workload, revision in self._completions:
            if owner == name:
                found[workload] = found.get(workload, frozenset()) | {revision}
        return found

    def forget(self, name: str) -> None:
        self._revisions.pop(name, None)
        self._deaths = [death for death in self._deaths if death[0] != name]
        self._completions = {each for each in self._completions if each[0] != name}
