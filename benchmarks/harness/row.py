"""One row of the table: measurement, comparison, goal and verdict.

A row is data. Families create rows, the page prints them, and only this module decides whether a goal is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

SECONDS: Final = "s"
PERCENT: Final = "%"
MEGABYTES: Final = "MB"
BARE: Final = ""
"""The unit of counts."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Bounds of the median of ours, in the row's unit, and of the median ratio of ours to theirs."""

    at_most: float | None = None
    ratio_at_most: float | None = None
    ratio_at_least: float | None = None

    def text(self, unit: str) -> str:
        """The bounds as text for the table."""
        bounds = []
        if self.at_most is not None:
            bounds.append(f"≤ {amount(self.at_most, unit)}")
        if self.ratio_at_most is not None:
            bounds.append(f"≤ {self.ratio_at_most:g} ×")
        if self.ratio_at_least is not None:
            bounds.append(f"≥ {self.ratio_at_least:g} ×")
        return ", ".join(bounds)


@dataclass(frozen=True, slots=True)
class Row:
    """Samples of ours and of another one's, taken in turn.

    `limit` says what the machine itself needs for it, `note` what a reader has to know, for instance why the other one
    was left out.
    """

    what: str
    unit: str
    ours: tuple[float, ...]
    limit: str
    against: str = ""
    theirs: tuple[float, ...] = ()
    goal: Goal | None = None
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours to theirs, round by round; empty when there is nothing to compare."""
        if not self.theirs or not all(self.theirs):
            return ()
        if len(self.ours) != len(self.theirs):
            return (median(self.ours) / median(self.theirs),)
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def holds(self) -> bool | None:
        """Whether the goal is kept; None when there is none, or when nothing was there to compare with."""
        goal = self.goal
        if goal is None or not self.ours:
            return None
        if goal.at_most is not None and median(self.ours) > goal.at_most:
            return False
        if goal.ratio_at_most is None and goal.ratio_at_least is None:
            return True
        if not self.ratios:
            return None
        ratio = median(self.ratios)
        return ratio <= (goal.ratio_at_most or ratio) and ratio >= (goal.ratio_at_least or ratio)


def amount(value: float, unit: str) -> str:
    """A number with its unit and a sensible number of digits."""
    if unit != SECONDS:
        digits = 0 if value >= 100 or value == round(value) else 2 if value < 10 else 1
        return f"{value:,.{digits}f}{' ' if unit else ''}{unit}"
    if value < 0.1:
        return f"{value * 1000:.{2 if value < 0.001 else 1}f} ms"
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def spread(values: Sequence[float], unit: str) -> str:
    """The median with minimum and maximum; only the number if all are equal."""
    if not values:
        return "–"
    middle, least, most = (amount(value, unit) for value in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} – {most})"


def to_json(row: Row) -> dict[str, Any]:
    """A row as JSON data."""
    return asdict(row)


def from_json(data: dict[str, Any]) -> Row:
    """The row that `to_json` was given. Raises TypeError or KeyError for anything else."""
    goal = data["goal"]
    lists = {name: tuple(data[name]) for name in ("ours", "theirs")}
    return Row(**{**data, **lists, "goal": Goal(**goal) if goal else None})
