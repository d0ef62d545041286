"""The history in SQLite: events, rollouts to roll back to, deaths for the restart backoff, and completed jobs.

Losing it loses history, never service. So no method raises into a pass: a damaged database is moved aside and a new one
is created, and on a full or read-only disk writes are dropped, which is logged once until it works again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from reconciler.api.reasons import Reason
from reconciler.store.base import Event, EventType, Hide, Rejection, Result, RevisionRecord, as_it_is
from reconciler.store.database import Database

SAME_EVENT_WITHIN: Final = timedelta(minutes=10)
KEPT_EVENTS: Final = 1000
KEPT_REVISIONS: Final = 50
KEPT_DEATHS: Final = 1000
KEPT_COMPLETIONS: Final = 1000
"""All of them for each service."""

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
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HistoryStore:
    """The history in one file, for any number of threads and processes; `clock` dates a damaged file.

    `hide` removes the secrets of a service from texts about it.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = _utc_now, hide: Hide = as_it_is) -> None:
        self._clock = clock
        self._hide = hide
        self._database = Database(path, MIGRATIONS, clock, self._begun_anew)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._database.close()

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
        """Record an event; the same event within SAME_EVENT_WITHIN of the last time only increments its count."""
        same = (service, type_, reason, self._hide(message, service))

        def write(sql: sqlite3.Connection) -> None:
            again = sql.execute(
                "UPDATE events SET count = count + 1, last_time = max(last_time, ?), revision = ?, commit_id = ? "
                "WHERE service = ? AND type = ? AND reason = ? AND message = ? AND last_time > ?",
                (_number(now), revision, commit, *same, _number(now - SAME_EVENT_WITHIN)),
            )
            if not again.rowcount:
                sql.execute(
                    "INSERT INTO events (service, type, reason, message, revision, commit_id, count, first_time, "
                    "last_time) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)",
                    (*same, revision, commit, _number(now), _number(now)),
                )
                sql.execute(
                    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE service = ? "
                    "ORDER BY last_time DESC, id DESC LIMIT -1 OFFSET ?)",
                    (service, KEPT_EVENTS),
                )

        self._database.write(write, None)

    def events(self, service: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The newest `limit` events of one service or of all, oldest first."""
        rows = self._database.read(
            "SELECT * FROM events WHERE ?1 IS NULL OR service = ?1 ORDER BY last_time DESC, id DESC LIMIT ?2",
            (service, limit),
        )
        return tuple(_event(row) for row in reversed(rows))

    def record_death(self, service: str, workload: str, revision: str, when: datetime, detail: str) -> None:
        """Record that a replica exited unexpectedly; the same time and detail twice are one death."""
        detail = self._hide(detail, service)

        def write(sql: sqlite3.Connection) -> None:
            sql.execute(
                "INSERT OR IGNORE INTO deaths (service, workload, revision, time, detail) VALUES (?, ?, ?, ?, ?)",
                (service, workload, revision, _number(when), detail),
            )
            sql.execute(
                "DELETE FROM deaths WHERE id IN (SELECT id FROM deaths WHERE service = ? "
                "ORDER BY time DESC, id DESC LIMIT -1 OFFSET ?)",
                (service, KEPT_DEATHS),
            )

        self._database.write(write, None)

    def deaths(
        self, service: str, revisions: Mapping[str, frozenset[str]], since: datetime
    ) -> Mapping[str, tuple[datetime, ...]]:
        """Times per workload of `revisions` at which its replicas died after `since`, oldest first."""
        found: dict[str, list[datetime]] = {workload: [] for workload in revisions}
        for row in self._database.read(
            "SELECT * FROM deaths WHERE service = ? AND time > ? ORDER BY time", (service, _number(since))
        ):
            if row["revision"] in revisions.get(row["workload"], ()):
                found[row["workload"]].append(_time(row["time"]))
        return {workload: tuple(times) for workload, times in found.items()}

    def open_revision(
        self, service: str, revision: str, spec: str, cause: str, commit: str, now: datetime
    ) -> int:
        """The number of the rollout to `revision`, counted from 1; 0 if nothing can be written.

        The newest rollout is reused if it has the same revision and is in progress or Complete. Otherwise a new one is
        opened, and unfinished ones become Superseded.
        """

        def write(sql: sqlite3.Connection) -> int:
            newest = sql.execute(
                "SELECT * FROM revisions WHERE service = ? ORDER BY number DESC LIMIT 1", (service,)
            ).fetchone()
            if newest is not None and newest["revision"] == revision and newest["result"] in ("", "Complete"):
                return int(newest["number"])
            number = 1 if newest is None else newest["number"] + 1
            sql.execute(
                "UPDATE revisions SET result = 'Superseded', finished_at = ? WHERE service = ? AND result = ''",
                (_number(now), service),
            )
            sql.execute(
                "INSERT INTO revisions (service, number, revision, spec, cause, commit_id, created_at, result, covers) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, '', 'stack')",
                (service, number, revision, spec, cause, commit, _number(now)),
            )
            # The last Complete rollout is kept whatever its age, because a rollback needs it.
            sql.execute(
                "DELETE FROM revisions WHERE service = ?1 AND number <= ?2 AND number IS NOT "
                "(SELECT max(number) FROM revisions WHERE service = ?1 AND result = 'Complete')",
                (service, number - KEPT_REVISIONS),
            )
            return int(number)

        return self._database.write(write, 0)

    def finish_revision(
        self, service: str, number: int, result: Result, now: datetime, rejection: Rejection | None = None
    ) -> None:
        """Say how a rollout ended; a Complete one can still be RolledBack, other ends are final.

        A number that does not exist is ignored.
        """
        why = rejection or Rejection("", "")
        told = (why.reason, self._hide(why.message, service), self._hide(why.evidence, service))
        self._database.write(
            lambda sql: sql.execute(
                "UPDATE revisions SET result = ?1, finished_at = ?2, reason = ?5, message = ?6, evidence = ?7 "
                "WHERE service = ?3 AND number = ?4 "
                "AND (result = '' OR (result = 'Complete' AND ?1 = 'RolledBack'))",
                (result, _number(now), service, number, *told),
            ),
            None,
        )

    def revisions(self, service: str) -> tuple[RevisionRecord, ...]:
        """All stored rollouts, oldest first."""
        rows = self._database.read("SELECT * FROM revisions WHERE service = ? ORDER BY number", (service,))
        return tuple(_revision(row) for row in rows)

    def last_good(self, service: str) -> RevisionRecord | None:
        """The newest rollout that is Complete."""
        rows = self._database.read(
            "SELECT * FROM revisions WHERE service = ? AND result = 'Complete' ORDER BY number DESC LIMIT 1",
            (service,),
        )
        return _revision(rows[0]) if rows else None

    def newest(self, service: str) -> RevisionRecord | None:
        """The newest rollout."""
        rows = self._database.read(
            "SELECT * FROM revisions WHERE service = ? ORDER BY number DESC LIMIT 1", (service,)
        )
        return _revision(rows[0]) if rows else None

    def record_completion(self, service: str, workload: str, revision: str, when: datetime) -> None:
        """Record that a job of this revision has succeeded; idempotent."""

        def write(sql: sqlite3.Connection) -> None:
            sql.execute(
                "INSERT OR IGNORE INTO completions VALUES (?, ?, ?, ?)",
                (service, workload, revision, _number(when)),
            )
            sql.execute(
                "DELETE FROM completions WHERE service = ?1 AND (workload, revision) IN (SELECT workload, revision "
                "FROM completions WHERE service = ?1 ORDER BY time DESC LIMIT -1 OFFSET ?2)",
                (service, KEPT_COMPLETIONS),
            )

        self._database.write(write, None)

    def completions(self, service: str) -> Mapping[str, frozenset[str]]:
        """The successful revisions of each job of a service."""
        found: dict[str, set[str]] = {}
        for row in self._database.read("SELECT * FROM completions WHERE service = ?", (service,)):
            found.setdefault(row["workload"], set()).add(row["revision"])
        return {workload: frozenset(revisions) for workload, revisions in found.items()}

    def forget(self, service: str) -> None:
        """Delete the history of a service."""

        def write(sql: sqlite3.Connection) -> None:
            sql.execute("DELETE FROM events WHERE service = ?", (service,))
            sql.execute("DELETE FROM revisions WHERE service = ?", (service,))
            sql.execute("DELETE FROM deaths WHERE service = ?", (service,))
            sql.execute("DELETE FROM completions WHERE service = ?", (service,))

        self._database.write(write, None)

    def _begun_anew(self, aside: Path) -> None:
        message = f"the history was damaged and is begun anew; the old file is {aside}"
        self.record_event("", "Warning", Reason.HISTORY_LOST, message, self._clock())


def _number(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND


def _event(row: sqlite3.Row) -> Event:
    return Event(
        service=row["service"],
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
        service=row["service"],
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
