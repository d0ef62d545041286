"""Shows progress while services converge: a live table on a terminal, timestamped lines anywhere else.

All of it goes to stderr, so that stdout only holds the answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.tables import printable, shortened

if TYPE_CHECKING:
    from rich.table import Table

    from reconciler.controller.report.outcome import Progress, Report

__all__ = ["reporting"]

REFRESHES_PER_SECOND: Final = 8
MESSAGE_WIDTH: Final = 70


@contextmanager
def reporting(*, now: Callable[[], datetime]) -> Iterator[Report]:
    """A Report for stderr: a live table, or a line for each change with the local time."""
    if sys.stderr.isatty():
        with _live_table() as report:
            yield report
    else:
        yield Lines(now, lambda line: click.echo(line, err=True))


class Lines:
    """A Report that writes a line for each change of a service."""

    def __init__(self, now: Callable[[], datetime], write: Callable[[str], None]) -> None:
        self._now = now
        self._write = write
        self._last: dict[str, str] = {}

    def __call__(self, progress: Progress) -> None:
        """Write the line of `progress`, unless it was the last one of that service."""
        parts = [progress.name]
        if counts := progress.replicas:
            updated = f", {counts.updated} updated" if counts.updated != counts.desired else ""
            parts.append(f"{counts.serving}/{counts.desired} serving{updated}")
        if doing := printable(progress.message).replace("\n", "; "):
            parts.append(doing)
        line = ": ".join(parts)
        if self._last.get(progress.name) != line:
            self._last[progress.name] = line
            self._write(f"{self._now().astimezone():%H:%M:%S} {line}")


@contextmanager
def _live_table() -> Iterator[Report]:
    from rich.console import Console
    from rich.live import Live

    latest: dict[str, Progress] = {}
    plain = (context := click.get_current_context(silent=True)) is not None and context.color is False
    console = Console(stderr=True, no_color=plain)
    with Live(
        get_renderable=lambda: _table(latest), console=console, refresh_per_second=REFRESHES_PER_SECOND
    ) as live:

        def report(progress: Progress) -> None:
            latest[progress.name] = progress
            if progress.done:
                live.refresh()

        yield report


def _table(latest: dict[str, Progress]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("NAME", "SERVING", "UPDATED", "DOING", box=None, pad_edge=False, header_style="bold")
    # A copy, because another thread may add a service meanwhile.
    for each in [*latest.values()]:
        counts = each.replicas
        style = "green" if each.done else "yellow"
        table.add_row(
            each.name,
            Text(f"{counts.serving}/{counts.desired}" if counts else "", style=style),
            f"{counts.updated}/{counts.desired}" if counts else "",
            Text(shortened(each.message, MESSAGE_WIDTH)),
        )
    return table
