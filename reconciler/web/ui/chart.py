"""Draws the last hour of a service as paths of SVG: a bar or a point for each minute. Pure: numbers in, texts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.traffic.hour import MINUTES, Span

__all__ = ["HEIGHT", "WIDTH", "Chart", "Mark", "bars", "line"]

WIDTH: Final = 600
HEIGHT: Final = 90
_STEP: Final = WIDTH / MINUTES
_STEPS: Final = (1.0, 2.0, 5.0, 10.0)

Value = Callable[[Span], float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name: `x` is its place."""

    x: float
    name: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One curve. `path` is for the attribute `d`, `over` another one on top; `top` is the value at the upper edge."""

    title: str
    path: str
    over: str
    top: float
    is_line: bool
    marks: tuple[Mark, ...]


def bars(
    title: str,
    spans: Sequence[Span],
    now: float,
    value: Value,
    over: Value,
    moments: Sequence[tuple[float, str]],
) -> Chart:
    """A bar for each minute; `over` is the part of it that is drawn in another colour, from the ground."""
    top = _top(value(each) for each in spans)
    path, on_top = (
        "".join(_bar(_place(each, now), height(each), top) for each in spans) for height in (value, over)
    )
    return Chart(title, path, on_top, top, is_line=False, marks=_marks(moments, now))


def line(
    title: str, spans: Sequence[Span], now: float, value: Value, moments: Sequence[tuple[float, str]]
) -> Chart:
    """A line through the minutes; a minute without a value is a gap."""
    top = _top(value(each) for each in spans)
    path, last = "", float("-inf")
    for span in spans:
        if (height := value(span)) is None:
            last = float("-inf")
            continue
        x = _place(span, now)
        is_next = x - last <= 1.5 * _STEP
        # A single point is a short line: one without a length is not drawn.
        middle = f"{x + _STEP / 2:.1f} {_y(height, top):.1f}"
        path += f"L{middle}" if is_next else f"M{middle}h.1"
        last = x
    return Chart(title, path, "", top, is_line=True, marks=_marks(moments, now))


def _bar(x: float, height: float | None, top: float) -> str:
    if not height:
        return ""
    y = _y(height, top)
    return f"M{x + 1:.1f} {HEIGHT}V{y:.1f}h{_STEP - 2:.1f}V{HEIGHT}z"


def _y(value: float, top: float) -> float:
    # What is there is seen, however little it is.
    return min(HEIGHT - 1.0, HEIGHT * (1 - value / top))


def _place(span: Span, now: float) -> float:
    return _x(span.begin // 60 * 60, now)


def _x(moment: float, now: float) -> float:
    end = (now // 60 + 1) * 60
    return WIDTH - (end - moment) / 60 * _STEP


def _marks(moments: Sequence[tuple[float, str]], now: float) -> tuple[Mark, ...]:
    return tuple(Mark(round(x, 1), name) for at, name in moments if 0 <= (x := _x(at, now)) <= WIDTH)


def _top(values: Iterator[float | None]) -> float:
    """The first of 1, 2, 5, 10, 20 … that is no less than any value."""
    most = max((each for each in values if each is not None), default=0.0)
    size = 0.1
    while size * _STEPS[-1] < most:
        size *= _STEPS[-1]
    return next(round(size * step, 3) for step in _STEPS if size * step >= most)
