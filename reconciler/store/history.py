"""The history in SQLite: events, rollouts to roll back to, deaths for the restart backoff, and completed jobs.

Losing it loses history, never service. So no method raises into a pass: a damaged database is moved aside and a new one
is created, and on a full or read-only disk writes are dropped, which is logged once until it works again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from reconciler.api.disk_names import as_text
from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.api.reasons import Reason
from reconciler.store.base import Event, EventType, Hide, Rejection, Result, RevisionRecord, as_it_is
from reconciler.store.database import Database

SAME_EVENT_WITHIN: Final = timedelta(minutes=10)
KEPT_EVENTS: Final = 1000
KEPT_REVISIONS: Final = 50
KEPT_DEATHS: Final = 1000
KEPT_COMPLETIONS: Final = 1000
"""All of them for each object."""

# Times are whole microseconds since 1970 in UTC. A released script is never changed: append a new one.
MIGRATIONS: Final = (
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, service TEXT NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL,
        message TEXT NOT NULL, revision TEXT NOT NULL, commit_id TEXT NOT NULL, count INTEGER NOT NULL,
        first_time INTEGER NOT NULL, last_time INTEGER NOT NULL
    );
    CREATE INDEX events_of_service ON events (service, last_time);
    CREATE TABLE revisions (
        service TEXT NOT NULL, number INTEGER NOT NULL, revision TEXT NOT NULL, spec TEXT NOT NULL,
        cause TEXT NOT NULL, commit_id TEXT NOT NULL, created_at INTEGER NOT NULL, result TEXT NOT NULL,
        finished_at INTEGER, PRIMARY KEY (service, number)
    ) WITHOUT ROWID;
    CREATE TABLE deaths (
        id INTEGER PRIMARY KEY, service TEXT NOT NULL, workload TEXT NOT NULL, revision TEXT NOT NULL,
        time INTEGER NOT NULL, detail TEXT NOT NULL, UNIQUE (service, workload, revision, time, detail)
    )
    """,
    """
    ALTER TABLE revisions ADD COLUMN covers TEXT NOT NULL DEFAULT 'web';
    CREATE TABLE completions (
        service TEXT NOT NULL, workload TEXT NOT NULL, revision TEXT NOT NULL, time INTEGER NOT NULL,
        PRIMARY KEY (service, workload, revision)
    ) WITHOUT ROWID
    """,
    # Until now the event of a rollback was the only place that said why: "Reason: sentence; its last words:\n…". It is read
    # here for the last time. A semicolon would end the statement, so it is char(59).
    """
    ALTER TABLE revisions ADD COLUMN reason TEXT NOT NULL DEFAULT '';
    ALTER TABLE revisions ADD COLUMN message TEXT NOT NULL DEFAULT '';
    ALTER TABLE revisions ADD COLUMN evidence TEXT NOT NULL DEFAULT '';
    UPDATE revisions SET message = coalesce((
        SELECT message FROM events WHERE reason = 'RolledBack' AND events.service = revisions.service
        AND events.revision = revisions.revision ORDER BY last_time DESC, id DESC LIMIT 1
    ), '') WHERE result = 'RolledBack';
    UPDATE revisions SET
        evidence = substr(message, instr(message, char(59) || ' its last words:' || char(10)) + 18),
        message = substr(message, 1, instr(message, char(59) || ' its last words:' || char(10)) - 1)
        WHERE instr(message, char(59) || ' its last words:' || char(10)) > 0;
    UPDATE revisions SET
        reason = substr(message, 1, instr(message, ': ') - 1), message = substr(message, instr(message, ': ') + 2)
        WHERE instr(message, ': ') > 0
    """,
    # Until now all objects were VaultServices. Events without an object are about the machine.
    """
    ALTER TABLE events RENAME COLUMN service TO name;
    ALTER TABLE events ADD COLUMN kind TEXT NOT NULL DEFAULT '';
    UPDATE events SET kind = 'VaultService' WHERE name != '';
    DROP INDEX events_of_service;
    CREATE INDEX events_of_object ON events (kind, name, last_time);
    ALTER TABLE revisions RENAME TO former_revisions;
    CREATE TABLE revisions (
        kind TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, revision TEXT NOT NULL, spec TEXT NOT NULL,
        cause TEXT NOT NULL, commit_id TEXT NOT NULL, created_at INTEGER NOT NULL, result TEXT NOT NULL,
        finished_at INTEGER, covers TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '', evidence TEXT NOT NULL DEFAULT '', PRIMARY KEY (kind, name, number)
    ) WITHOUT ROWID;
    INSERT INTO revisions SELECT 'VaultService', service, number, revision, spec, cause, commit_id, created_at, result,
        finished_at, covers, reason, message, evidence FROM former_revisions;
    DROP TABLE former_revisions;
    ALTER TABLE deaths RENAME TO former_deaths;
    CREATE TABLE deaths (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, workload TEXT NOT NULL,
        revision TEXT NOT NULL, time INTEGER NOT NULL, detail TEXT NOT NULL,
        UNIQUE (kind, name, workload, revision, time, detail)
    );
    INSERT INTO deaths SELECT id, 'VaultService', service, workload, revision, time, detail FROM former_deaths;
    DROP TABLE former_deaths;
    ALTER TABLE completions RENAME TO former_completions;
    CREATE TABLE completions (
        kind TEXT NOT NULL, name TEXT NOT NULL, workload TEXT NOT NULL, revision TEXT NOT NULL, time INTEGER NOT NULL,
        PRIMARY KEY (kind, name, workload, revision)
    ) WITHOUT ROWID;
    INSERT INTO completions SELECT 'VaultService', service, workload, revision, time FROM former_completions;
    DROP TABLE former_completions
    """,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HistoryStore:
    """The history of one kind in a file of all kinds, for any number of threads and processes; `clock` dates a damaged
    file.

    `hide` removes the secrets of an object from texts about it.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = _utc_now, hide: Hide = as_it_is) -> None:
        self._clock = clock
        self._hide = hide
        self._kind = VAULT_SERVICE
        self._database = Database(path, MIGRATIONS, clock, self._begun_anew)

    def of(self, kind: Kind) -> Self:
        """The history of another kind in the same file."""
        other = copy(self)
        other._kind = kind
        return other

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._database.close()

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
        """Record an event, of the machine without a `name`; the same event within SAME_EVENT_WITHIN of the last time only
        increments its count.
        """
        kind = self._kind.name if name else ""
        same = (kind, name, type_, reason, self._hidden(message, name))

        def write(sql: sqlite3.Connection) -> None:
            again = sql.execute(
                "UPDATE events SET count = count + 1, last_time = max(last_time, ?), revision = ?, commit_id = ? "
                "WHERE kind = ? AND name = ? AND type = ? AND reason = ? AND message = ? AND last_time > ?",
                (_number(now), revision, commit, *same, _number(now - SAME_EVENT_WITHIN)),
            )
            if not again.rowcount:
                sql.execute(
                    "INSERT INTO events (kind, name, type, reason, message, revision, commit_id, count, first_time, "
                    "last_time) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
                    (*same, revision, commit, _number(now), _number(now)),
                )
                sql.execute(
                    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE kind = ? AND name = ? "
                    "ORDER BY last_time DESC, id DESC LIMIT -1 OFFSET ?)",
                    (kind, name, KEPT_EVENTS),
                )

        self._database.write(write, None)

    def events(self, name: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The newest `limit` events of one object, of the machine if `name` is empty, or of all, oldest first."""
        rows = self._database.read(
            "SELECT * FROM events WHERE ?2 IS NULL OR (kind = ?1 AND name = ?2) "
            "ORDER BY last_time DESC, id DESC LIMIT ?3",
            (self._kind.name if name else "", name, limit),
        )
        return tuple(_event(row) for row in reversed(rows))

    def record_death(self, name: str, workload: str, revision: str, when: datetime, detail: str) -> None:
        """Record that a replica exited unexpectedly; the same time and detail twice are one death."""
        detail = self._hidden(detail, name)

        def write(sql: sqlite3.Connection) -> None:
            sql.execute(
                "INSERT OR IGNORE INTO deaths (kind, name, workload, revision, time, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (self._kind.name, name, workload, revision, _number(when), detail),
            )
            sql.execute(
                "DELETE FROM deaths WHERE id IN (SELECT id FROM deaths WHERE kind = ? AND name = ? "
                "ORDER BY time DESC, id DESC LIMIT -1 OFFSET ?)",
                (self._kind.name, name, KEPT_DEATHS),
            )

        self._database.write(write, None)

    def deaths(
        self, name: str, revisions: Mapping[str, frozenset[str]], since: datetime
    ) -> Mapping[str, tuple[datetime, ...]]:
        """Times per workload of `revisions` at which its replicas died after `since`, oldest first."""
        found: dict[str, list[datetime]] = {workload: [] for workload in revisions}
        for row in self._database.read(
            "SELECT * FROM deaths WHERE kind = ? AND name = ? AND time > ? ORDER BY time",
            (self._kind.name, name, _number(since)),
        ):
            if row["revision"] in revisions.get(row["workload"], ()):
                found[row["workload"]].append(_time(row["time"]))
        return {workload: tuple(times) for workload, times in found.items()}

    def open_revision(
        self, name: str, revision: str, spec: str, cause: str, commit: str, now: datetime
    ) -> int:
        """The number of the rollout to `revision`, counted from 1; 0 if nothing can be written.

        The newest rollout is reused if it has the same revision and is in progress or Complete. Otherwise a new one is
        opened, and unfinished ones become Superseded.
        """
        key = (self._kind.name, name)

        def write(sql: sqlite3.Connection) -> int:
            newest = sql.execute(
                "SELECT * FROM revisions WHERE kind = ? AND name = ? ORDER BY number DESC LIMIT 1", key
            ).fetchone()
            if newest is not None and newest["revision"] == revision and newest["result"] in ("", "Complete"):
                return int(newest["number"])
            number = 1 if newest is None else newest["number"] + 1
            sql.execute(
                "UPDATE revisions SET result = 'Superseded', finished_at = ? "
                "WHERE kind = ? AND name = ? AND result = ''",
                (_number(now), *key),
            )
            sql.execute(
                "INSERT INTO revisions (kind, name, number, revision, spec, cause, commit_id, created_at, result, "
                "covers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 'stack')",
                (*key, number, revision, spec, cause, commit, _number(now)),
            )
            # The last Complete rollout is kept whatever its age, because a rollback needs it.
            sql.execute(
                "DELETE FROM revisions WHERE kind = ?1 AND name = ?2 AND number <= ?3 AND number IS NOT "
                "(SELECT max(number) FROM revisions WHERE kind = ?1 AND name = ?2 AND result = 'Complete')",
                (*key, number - KEPT_REVISIONS),
            )
            return int(number)

        return self._database.write(write, 0)

    def finish_revision(
        self, name: str, number: int, result: Result, now: datetime, rejection: Rejection | None = None
    ) -> None:
        """Say how a rollout ended; a Complete one can still be RolledBack, other ends are final.

        A number that does not exist is ignored.
        """
        why = rejection or Rejection("", "")
        told = (why.reason, self._hidden(why.message, name), self._hidden(why.evidence, name))
        self._database.write(
            lambda sql: sql.execute(
                "UPDATE revisions SET result = ?1, finished_at = ?2, reason = ?6, message = ?7, evidence = ?8 "
                "WHERE kind = ?3 AND name = ?4 AND number = ?5 "
                "AND (result = '' OR (result = 'Complete' AND ?1 = 'RolledBack'))",
                (result, _number(now), self._kind.name, name, number, *told),
            ),
            None,
        )

    def revisions(self, name: str) -> tuple[RevisionRecord, ...]:
        """All stored rollouts, oldest first."""
        rows = self._database.read(
            "SELECT * FROM revisions WHERE kind = ? AND name = ? ORDER BY number", (self._kind.name, name)
        )
        return tuple(_revision(row) for row in rows)

    def last_good(self, name: str) -> RevisionRecord | None:
        """The newest rollout that is Complete."""
        rows = self._database.read(
            "SELECT * FROM revisions WHERE kind = ? AND name = ? AND result = 'Complete' "
            "ORDER BY number DESC LIMIT 1",
            (self._kind.name, name),
        )
        return _revision(rows[0]) if rows else None

    def newest(self, name: str) -> RevisionRecord | None:
        """The newest rollout."""
        rows = self._database.read(
            "SELECT * FROM revisions WHERE kind = ? AND name = ? ORDER BY number DESC LIMIT 1",
            (self._kind.name, name),
        )
        return _revision(rows[0]) if rows else None

    def record_completion(self, name: str, workload: str, revision: str, when: datetime) -> None:
        """Record that a job of this revision has succeeded; idempotent."""
        key = (self._kind.name, name)

        def write(sql: sqlite3.Connection) -> None:
            sql.execute(
                "INSERT OR IGNORE INTO completions VALUES (?, ?, ?, ?, ?)",
                (*key, workload, revision, _number(when)),
            )
            sql.execute(
                "DELETE FROM completions WHERE kind = ?1 AND name = ?2 AND (workload, revision) IN "
                "(SELECT workload, revision FROM completions WHERE kind = ?1 AND name = ?2 "
                "ORDER BY time DESC LIMIT -1 OFFSET ?3)",
                (*key, KEPT_COMPLETIONS),
            )

        self._database.write(write, None)

    def completions(self, name: str) -> Mapping[str, frozenset[str]]:
        """The successful revisions of each job of an object."""
        found: dict[str, set[str]] = {}
        for row in self._database.read(
            "SELECT * FROM completions WHERE kind = ? AND name = ?", (self._kind.name, name)
        ):
            found.setdefault(row["workload"], set()).add(row["revision"])
        return {workload: frozenset(revisions) for workload, revisions in found.items()}

    def forget(self, name: str) -> None:
        """Delete the history of an object."""
        key = (self._kind.name, name)

        def write(sql: sqlite3.Connection) -> None:
            sql.execute("DELETE FROM events WHERE kind = ? AND name = ?", key)
            sql.execute("DELETE FROM revisions WHERE kind = ? AND name = ?", key)
            sql.execute("DELETE FROM deaths WHERE kind = ? AND name = ?", key)
            sql.execute("DELETE FROM completions WHERE kind = ? AND name = ?", key)

        self._database.write(write, None)

    def _hidden(self, text: str, name: str) -> str:
        return self._hide(as_text(text), Ref(self._kind, name).label if name else "")

    def _begun_anew(self, aside: Path) -> None:
        message = f"the history was damaged and is begun anew; the old file is {aside}"
        self.record_event("", "Warning", Reason.HISTORY_LOST, message, self._clock())


def _number(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND


def _event(row: sqlite3.Row) -> Event:
    return Event(
        kind=row["kind"],
        name=row["name"],
        type=row["type"],
        reason=row["reason"],
        message=row["message"],
        revision=row["revision"],
        commit=row["commit_id"],
        count=row["count"],
        first_time=_time(row["first_time"]),
        last_time=_time(row["last_time"]),
    )


def _revision(row: sqlite3.Row) -> RevisionRecord:
    return RevisionRecord(
        name=row["name"],
        number=row["number"],
        revision=row["revision"],
        spec=row["spec"],
        cause=row["cause"],
        commit=row["commit_id"],
        created_at=_time(row["created_at"]),
        result=row["result"],
        finished_at=None if row["finished_at"] is None else _time(row["finished_at"]),
        covers=row["covers"],
        rejection=Rejection(row["reason"], row["message"], row["evidence"]) if row["reason"] else None,
    )
