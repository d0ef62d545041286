"""What the controller needs of a place where manifests are written.

A source answers one question, "what is there now?", and says when it is worth asking again. It never says what
changed: a change that is missed, doubled or late then cannot do harm.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from reconciler.api import Manifest, Problem
from reconciler.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Setback:
    """Why a source could not give its newest state, so that an older one goes on."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that a source holds now.

    One bad file does not hide the others: `manifests` are what can be used, `problems` what is wrong with the rest.
    `complete` is True only when every manifest of the source was read; otherwise a missing one means nothing.
    `foreign` files are of other programs and were passed over; `doubts` say where nothing tells whose a file is, so that
    it can hide only what came from it before. `commit` is empty outside of Git. `touched` names the services whose
    settings files differ from those at the last load; None when the source cannot tell, so that any may.
    """

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    complete: bool
    commit: str = ""
    touched: frozenset[str] | None = None
    setback: Setback | None = None
    foreign: tuple[Path, ...] = ()
    doubts: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """One look at a place far away: how many seconds it took, the commit that is served since, and what was wrong.

    `is_news` says that the commit or the setback is another than after the look before.
    """

    seconds: float
    commit: str
    setback: Setback | None
    is_news: bool


class Source(Protocol):
    """A place where manifests are written; (`kind`, `place`) tells it from others, also after a restart."""

    @property
    def kind(self) -> Literal["directory", "git"]:
        """What sort of place it is."""

    @property
    def place(self) -> str:
        """Its path or URL."""

    def load(self) -> Loaded:
        """Read everything. Never raises: what cannot be read is a problem."""

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yield whenever a new `load` may differ from the last one, until `stop` is set. Never raises, and a change
        while the caller loads leads to another yield.
        """
