"""A SQLite file whose failures do not propagate: failed writes are lost, failed reads are empty.

A damaged file is moved aside and a new one is created. Another process or a user may replace the file at any time; this
is detected before the next statement.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from reconciler.api import VaultError
from reconciler.store import files

BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for another writing process."""

LOCK_TIMEOUT: Final = 5.0

Answer = TypeVar("Answer")
Value = str | int | None

log = logging.getLogger(__name__)


class _UnusableError(VaultError):
    """The file is sound, but this version may not write it."""


class Database:
    """One file, one connection, one statement at a time. `migrations` are scripts; the first n produce version n.

    `begun_anew` is called with the new path of a damaged file, once its replacement works.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        clock: Callable[[], datetime],
        begun_anew: Callable[[Path], None],
    ) -> None:
        self._path = path
        self._migrations = migrations
        self._clock = clock
        self._begun_anew = begun_anew
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._complained = False

    def write(self, work: Callable[[sqlite3.Connection], Answer], otherwise: Answer) -> Answer:
        """Run `work` in a transaction and return its result; `otherwise` if the file cannot be written."""

        def transaction(sql: sqlite3.Connection) -> Answer:
            sql.execute("BEGIN IMMEDIATE")
            try:
                answer = work(sql)
                sql.execute("COMMIT")
            finally:
                if sql.in_transaction:
                    sql.execute("ROLLBACK")
            self._recover()
            return answer

        return self._attempt(transaction, otherwise)

    def read(self, query: str, values: Sequence[Value]) -> list[sqlite3.Row]:
        """The rows of a query; none if the file cannot be read."""
        return self._attempt(lambda sql: sql.execute(query, values).fetchall(), [])

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], Answer], otherwise: Answer) -> Answer:
        with self._lock:
            aside: Path | None = None
            for last in (False, True):
                try:
                    answer = work(self._open())
                except (sqlite3.Error, OSError, VaultError) as error:
                    self.close()
                    if last or not _is_damage(error):
                        self._complain(error)
                        return otherwise
                    aside = self._put_aside()
                else:
                    if aside is not None:
                        self._begun_anew(aside)
                    return answer
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(self._path.stat(), self._opened):
                    return self._connection
            self.close()
        if not self._path.parent.exists():
            # One that is there is judged before it is mended, by those who are there to change services.
            files.make_traversable(self._path.parent)
        # SQLite gives its companion files the mode of this one, so it must be private before it is a database.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE))
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        self._connection, self._opened = connection, self._path.stat()
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        self._migrate(connection)
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == len(self._migrations):
            return
        connection.execute("BEGIN IMMEDIATE")
        # Checked again: another process may have migrated while this one waited for the lock.
        version = _version(connection)
        if version > len(self._migrations):
            raise _UnusableError(f"it was written by a newer version (schema {version})")
        for script in self._migrations[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute("COMMIT")

    def _put_aside(self) -> Path | None:
        """Move the damaged file and return its new path; None if it is sound after all or cannot be moved."""
        try:
            with files.locked(self._path.with_name(f".{self._path.name}.lock"), LOCK_TIMEOUT):
                if _is_sound(self._path):
                    return None
                aside = self._path.with_name(f"{self._path.name}.corrupt-{self._clock():%Y%m%dT%H%M%SZ}")
                for companion in ("-wal", "-shm", ""):
                    with suppress(FileNotFoundError):
                        Path(f"{self._path}{companion}").replace(f"{aside}{companion}")
                return aside
        except (OSError, VaultError):
            # The second attempt fails for the same reason and logs it.
            return None

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            log.warning("%s cannot be used, history is not kept: %s", self._path, error)
        self._complained = True

    def _recover(self) -> None:
        if self._complained:
            log.info("%s works again, history is kept", self._path)
        self._complained = False


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    # Extended codes keep the primary one in their low byte.
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False
