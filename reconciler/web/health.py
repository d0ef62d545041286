"""The two questions that a supervisor asks, and the shape of an answer.

`live` is about this process alone: when it fails, a restart helps. `ready` is about the world as well: engine,
sources, workers. A restart does not bring an engine back, so an engine that is away must never fail `live`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `detail` is a sentence for people and goes out over HTTP: no secrets.

    Of a check that failed it says what is wrong and what to do.
    """

    name: str
    ok: bool
    detail: str = ""


Probe: TypeAlias = Callable[[], Iterable[Check]]
"""Answers from memory, at once, in any thread."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `/healthz` and `/readyz` report. All checks must be ok; no checks at all are ok."""

    live: Probe
    ready: Probe
