"""Tables and pages of aligned text, the way `kubectl` prints them.

Plain string work: a table needs no library to be imported, and stays the same in a pipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import click

__all__ = ["age", "fields", "indented", "printable", "shortened", "table"]

GAP: Final = "   "
NOTHING: Final = "-"
_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
# Below two of a unit, the smaller unit is more exact: 90 minutes are "90m" and not "1h".
_DETAILED_BELOW: Final = 10


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns with `headers` above; an empty cell becomes '-'. Colours do not count as width."""
    lines = [tuple(headers), *(tuple(cell or NOTHING for cell in row) for row in rows)]
    widths = [max(len(click.unstyle(line[column])) for line in lines) for column in range(len(headers))]
    return "\n".join(
        GAP.join(
            cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def fields(values: Mapping[str, str]) -> str:
    """`Name:   value` lines with the values aligned; an empty value becomes '-'."""
    width = max((len(name) for name in values), default=0) + 1
    return "\n".join(f"{f'{name}:':<{width}}  {value or NOTHING}" for name, value in values.items())


def indented(text: str, by: int = 2) -> str:
    """Every line of `text`, moved to the right by `by` spaces."""
    return "\n".join(f"{'':{by}}{line}" for line in text.splitlines())


def printable(text: str) -> str:
    """`text` without terminal control characters; a container's log line may hold anything."""
    return "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)


def shortened(text: str, width: int) -> str:
    """The first line of `text`, printable and at most `width` (from 1) characters long."""
    line = printable(text.partition("\n")[0])
    return line if len(line) <= width else f"{line[: width - 1]}…"


def age(since: datetime | None, now: datetime) -> str:
    """How long ago `since` was, as `kubectl` writes ages: 5s, 3m10s, 47m, 5h, 2d; '' when it is not known."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    for position, (unit, size) in enumerate(_UNITS):
        amount, rest = divmod(seconds, size)
        if amount == 0 and unit != "s":
            continue
        if amount >= _DETAILED_BELOW or unit == "s":
            return f"{amount}{unit}"
        smaller, smaller_size = _UNITS[position + 1]
        return f"{amount}{unit}{rest // smaller_size}{smaller}" if rest // smaller_size else f"{amount}{unit}"
    return "0s"
