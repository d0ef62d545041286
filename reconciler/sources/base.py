"""The interface of a source of manifests.

A source loads its current manifests and says when to load again. It never says what changed, so a missed, duplicate or
late notification does no harm.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reconciler.api import Manifest, Problem
from reconciler.api.kinds import Ref
from reconciler.api.reasons import Reason
from reconciler.api.source_kind import SourceKind


@dataclass(frozen=True, slots=True)
class Setback:
    """Why a source could not give its newest state, so that an older one goes on."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The current content of a source.

    One invalid file does not hide the others: `manifests` are the valid ones, `problems` the mistakes in the rest.
    `complete` is True only if every manifest of the source was read; otherwise a missing one is not a deletion.
    `foreign` files belong to other programs and were skipped. `doubts` are files whose owner cannot be determined; they
    protect only resources that came from them before. `commit` is empty outside of Git. `touched` names the resources whose
    settings files have changed since the last load; None if the source does not know, so that any may have.
    """

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    complete: bool
    commit: str = ""
    touched: frozenset[Ref] | None = None
    setback: Setback | None = None
    foreign: tuple[Path, ...] = ()
    doubts: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """One fetch from a remote: its duration in seconds, the commit that is used afterwards, and the setback if it failed.

    `is_news` says that the commit or the setback differs from the previous fetch.
    """

    seconds: float
    commit: str
    setback: Setback | None
    is_news: bool


class Source(Protocol):
    """A source of manifests; (`kind`, `place`) identifies it, also after a restart."""

    @property
    def kind(self) -> SourceKind:
        """The type of the source."""

    @property
    def place(self) -> str:
        """Its path or URL."""

    def load(self) -> Loaded:
        """Read everything. Never raises: unreadable files become problems."""

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yield whenever the result of `load` may have changed, until `stop` is set. Never raises; a change during a
        load leads to another yield.
        """
