"""A durable journal of documents: each change has a number from one counter over all kinds, which never goes back.

It is what a Kubernetes API calls `resourceVersion`. A reader that knows a number can ask for all that changed since, also
after a restart or a crash of the writer; the last KEPT_CHANGES are kept. The documents themselves are derived from
the objects, so nothing is lost with this file: a new one begins with higher numbers, and readers list again.

Clients decide how large documents are and how often they change: memory and file have bounds in bytes as well.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from reconciler.api import TemporaryError
from reconciler.store import files

__all__ = ["KEPT_CHANGES", "Change", "Document", "Versions"]

KEPT_CHANGES: Final = 10_000
IN_MEMORY: Final = 1_000
"""So many of the last changes are answered without the disk: a reader that keeps up needs no others."""
MOST_IN_MEMORY: Final = 64 * 1024 * 1024
"""Bytes of their documents."""
MOST_IN_FILE: Final = 1024 * 1024 * 1024
"""Bytes of the file; beyond it the older half of the changes is forgotten."""
NUMBERS_A_SECOND: Final = 1_000
"""A new journal begins with the seconds since 1970 times this, so that it repeats no number of a former one."""
BUSY_TIMEOUT: Final = 5.0

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, "
    "kept INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS documents (kind TEXT, name TEXT, number INTEGER NOT NULL, text BLOB NOT NULL, "
    "PRIMARY KEY (kind, name)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, "
    "type TEXT NOT NULL, text BLOB NOT NULL, before TEXT)",
)
_SCHEMA_VERSION: Final = 1

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
Key = tuple[str, str]
"""Kind and name."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Document:
    """The newest version of a document, as JSON text with its number in `metadata.resourceVersion`."""

    kind: str
    name: str
    number: int
    text: bytes = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. The document of a deletion is the last one, with the number of the deletion. `before` are the labels
    that the document had before; None when it is new.
    """

    type: ChangeType
    document: Document
    before: Mapping[str, str] | None

    @property
    def number(self) -> int:
        """Shorthand for the number of the change."""
        return self.document.number


class Versions:
    """The journal in a file, for one writing process with any number of threads.

    Raises TemporaryError for disk errors; then nothing was recorded.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        kept: int = KEPT_CHANGES,
        most: int = MOST_IN_FILE,
    ) -> None:
        self._path = path
        self._clock = clock
        self._kept = kept
        self._most = most
        # Readers wait for no disk: what is written is put into memory afterwards.
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._documents: dict[Key, Document] = {}
        self._recent: deque[Change] = deque()
        self._recent_bytes = 0
        self._number = 0
        self._since = 0
        try:
            self._sql = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise self._failed(error) from error
            self._put_aside(error)
            self._sql = self._open()

    @property
    def number(self) -> int:
        """The number of the last change."""
        return self._number

    def tell(self, listener: Callable[[], None]) -> None:
        """Call `listener` after changes, from any thread; it must return at once."""
        self._listeners.append(listener)

    def silence(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def document(self, kind: str, name: str) -> Document | None:
        """The newest version of a document."""
        return self._documents.get((kind, name))

    def documents(self, kind: str) -> tuple[int, tuple[Document, ...]]:
        """All documents of a kind by name, and the number of the last change of any kind that they include."""
        with self._lock:
            found = sorted((key, each) for key, each in self._documents.items() if key[0] == kind)
            return self._number, tuple(each for _, each in found)

    def names(self, kind: str) -> frozenset[str]:
        """The names of all documents of a kind."""
        with self._lock:
            return frozenset(name for each, name in self._documents if each == kind)

    def since(self, number: int, limit: int) -> Sequence[Change] | None:
        """The first `limit` changes after that number, oldest first; None if it is none of this journal, or too old."""
        with self._lock:
            if not self._since <= number <= self._number:
                return None
            if number == self._number:
                return ()
            first = self._recent[0].number if self._recent else self._number + 1
            if first <= number + 1:
                return tuple(islice(self._recent, number + 1 - first, number + 1 - first + limit))
            last = self._number
        with self._writing:
            rows = self._sql.execute(
                "SELECT number, kind, name, type, text, before FROM changes WHERE number > ? AND number <= ? "
                "ORDER BY number LIMIT ?",
                (number, last, limit),
            ).fetchall()
        changes = tuple(map(_change, rows))
        # Those that were removed meanwhile are missing at the beginning.
        return changes if changes and changes[0].number == number + 1 else None

    def record(self, found: Mapping[Key, Mapping[str, Any] | None]) -> Sequence[Change]:
        """Record documents as they are now, None for one that is gone, and return the changes. What is as it was before
        is no change.
        """
        with self._writing:
            changes = [change for key, document in found.items() for change in self._compared(key, document)]
            if not changes:
                return ()
            changes = [_numbered(change, self._number + 1 + index) for index, change in enumerate(changes)]
            kept = self._write(changes)
            with self._lock:
                for change in changes:
                    key = (change.document.kind, change.document.name)
                    if change.type == "DELETED":
                        self._documents.pop(key, None)
                    else:
                        self._documents[key] = change.document
                self._remember(changes)
                self._number, self._since = changes[-1].number, kept
        for listener in tuple(self._listeners):
            listener()
        return changes

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._sql.close()

    def _remember(self, changes: Sequence[Change]) -> None:
        self._recent.extend(changes)
        self._recent_bytes += sum(len(each.document.text) for each in changes)
        while self._recent and (len(self._recent) > IN_MEMORY or self._recent_bytes > MOST_IN_MEMORY):
            self._recent_bytes -= len(self._recent.popleft().document.text)

    def _compared(self, key: Key, document: Mapping[str, Any] | None) -> Sequence[Change]:
        before = self._documents.get(key)
        if document is None:
            return () if before is None else (Change("DELETED", before, before.labels),)
        if before is None:
            return (Change("ADDED", _document(key, 0, document), None),)
        if _text(document, before.number) == before.text:
            return ()
        after = _document(key, 0, document)
        if _uid(before) != _uid(after):
            # It was deleted and made again between two looks.
            return (Change("DELETED", before, before.labels), Change("ADDED", after, None))
        return (Change("MODIFIED", after, before.labels),)

    def _write(self, changes: Sequence[Change]) -> int:
        """Write changes, and return the number from which all are kept."""
        number = changes[-1].number
        kept = max(self._since, number - self._kept)
        try:
            with self._sql:
                self._sql.execute("BEGIN IMMEDIATE")
                for change in changes:
                    of = change.document
                    before = None if change.before is None else json.dumps(dict(change.before))
                    self._sql.execute(
                        "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
                        (of.number, of.kind, of.name, change.type, of.text, before),
                    )
                    if change.type == "DELETED":
                        self._sql.execute(
                            "DELETE FROM documents WHERE kind = ? AND name = ?", (of.kind, of.name)
                        )
                    else:
                        self._sql.execute(
                            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)",
                            (of.kind, of.name, of.number, of.text),
                        )
                if self._file_bytes() > self._most:
                    kept = max(kept, (self._since + number) // 2)
                self._sql.execute("DELETE FROM changes WHERE number <= ?", (kept,))
                self._sql.execute("UPDATE counter SET number = ?, kept = ?", (number, kept))
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return kept

    def _file_bytes(self) -> int:
        """Without pages that later changes use again."""
        pages, free, size = (
            self._sql.execute(f"PRAGMA {each}").fetchone()[0]
            for each in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _open(self) -> sqlite3.Connection:
        with files.disk_errors(self._path, "write"):
            self._path.touch(files.PRIVATE)
        sql = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            sql.execute("PRAGMA journal_mode = WAL")
            # A number that a client has seen must not be given again after a power cut.
            sql.execute("PRAGMA synchronous = FULL")
            (version,) = sql.execute("PRAGMA user_version").fetchone()
            if version not in (0, _SCHEMA_VERSION):
                raise sqlite3.DatabaseError(f"it was written by another version (schema {version})")
            for statement in _SCHEMA:
                sql.execute(statement)
            sql.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            begin = int(self._clock().timestamp()) * NUMBERS_A_SECOND
            sql.execute("INSERT OR IGNORE INTO counter VALUES (1, ?, ?)", (begin, begin))
            self._number, self._since = sql.execute("SELECT number, kept FROM counter").fetchone()
            rows = sql.execute("SELECT kind, name, number, text FROM documents").fetchall()
            self._documents = {
                (kind, name): Document(kind, name, number, text, _labels(json.loads(text)))
                for kind, name, number, text in rows
            }
        except BaseException:
            sql.close()
            raise
        return sql

    def _put_aside(self, error: Exception) -> None:
        aside = self._path.with_name(f"{self._path.name}.corrupt-{self._clock():%Y%m%dT%H%M%SZ}")
        log.warning("%s cannot be used (%s) and is now %s; a new one is begun", self._path, error, aside)
        with files.disk_errors(self._path, "rename"):
            for companion in ("-wal", "-shm", ""):
                each = Path(f"{self._path}{companion}")
                if each.exists():
                    each.replace(f"{aside}{companion}")

    def _failed(self, error: Exception) -> TemporaryError:
        return TemporaryError(f"cannot write {self._path}: {error}")


def _document(key: Key, number: int, document: Mapping[str, Any]) -> Document:
    return Document(*key, number, _text(document, number), _labels(document))


def _text(document: Mapping[str, Any], number: int) -> bytes:
    metadata = {**document["metadata"], "resourceVersion": str(number)}
    return json.dumps({**document, "metadata": metadata}, ensure_ascii=False, separators=(",", ":")).encode()


def _numbered(change: Change, number: int) -> Change:
    of = change.document
    return Change(change.type, _document((of.kind, of.name), number, json.loads(of.text)), change.before)


def _labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    labels = document["metadata"].get("labels")
    return dict(labels) if isinstance(labels, Mapping) else {}


def _uid(document: Document) -> object:
    return json.loads(document.text)["metadata"].get("uid")


def _change(row: Sequence[Any]) -> Change:
    number, kind, name, type_, text, before = row
    document = Document(kind, name, number, text, _labels(json.loads(text)))
    return Change(type_, document, None if before is None else json.loads(before))
