"""The numbers of one service with the curves of its last hour, as values for a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.web.ui.chart import Chart, bars, line
from reconciler.web.ui.numbers import milliseconds, p95_of, rate, texts_of

if TYPE_CHECKING:
    from reconciler.app.cluster.traffic import Numbers
    from reconciler.store.base import RevisionRecord

__all__ = ["Curve", "Traffic", "traffic_of"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A drawn hour; `label` says in words what it shows."""

    title: str
    top_text: str
    label: str
    drawn: Chart


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is shown. `rollouts` are the names of those that are marked."""

    is_known: bool
    figures: tuple[tuple[str, str], ...]
    charts: tuple[Curve, ...]
    rollouts: tuple[str, ...]


def traffic_of(numbers: Numbers, records: Sequence[RevisionRecord], now: datetime) -> Traffic:
    """The values of a service with this history."""
    texts, at = texts_of(numbers), now.timestamp()
    moments = [(each.created_at.timestamp(), f"revision {each.number}") for each in records]
    requests = bars(
        "Requests a second, failed ones in red",
        numbers.minutes,
        at,
        lambda span: span.rate,
        lambda span: span.tally.errors / span.seconds if span.seconds else None,
        moments,
    )
    times = line("p95", numbers.minutes, at, p95_of, moments)
    figures = (
        ("Requests/s", texts.rate),
        ("Errors", texts.errors),
        ("p95", texts.p95),
        ("CPU", f"{texts.cpu} cores" if texts.cpu else ""),
        ("Memory", texts.memory),
    )
    return Traffic(
        is_known=bool(numbers.minutes or numbers.load),
        figures=figures,
        charts=(
            _curve(requests, rate(requests.top), f"{texts.rate or 0} in the last minute"),
            _curve(times, milliseconds(times.top), f"{texts.p95 or 'no answer'} in the last minute"),
        ),
        rollouts=tuple(mark.name for mark in requests.marks),
    )


def _curve(drawn: Chart, top: str, now: str) -> Curve:
    return Curve(drawn.title, top, f"{drawn.title} in the last hour: {now}, at most {top}", drawn)
