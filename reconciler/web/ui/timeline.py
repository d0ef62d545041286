"""What has happened to a service, the newest first: its events and the beginnings of its rollouts, with their commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from reconciler.store.base import Event, RevisionRecord

__all__ = ["Begun", "timeline"]

ROLLOUT: Final = "Rollout"


@dataclass(frozen=True, slots=True)
class Begun:
    """The beginning of a rollout, with the fields of an event."""

    last_time: datetime
    message: str
    commit: str
    type: str = "Normal"
    reason: str = ROLLOUT
    count: int = 1


def timeline(
    events: Iterable[Event], rollouts: Iterable[tuple[RevisionRecord, tuple[str, ...]]], most: int
) -> list[Event | Begun]:
    """The newest `most` of both; `rollouts` are revisions, each with the fields that it has changed."""
    found: list[Event | Begun] = [*events, *_begun(rollouts)]
    return sorted(found, key=lambda each: each.last_time, reverse=True)[:most]


def _begun(rollouts: Iterable[tuple[RevisionRecord, tuple[str, ...]]]) -> Iterator[Begun]:
    for record, changed in rollouts:
        what = f": {', '.join(changed)}" if changed else ""
        yield Begun(record.created_at, f"revision {record.number} begins{what}", record.commit)
