"""Events as `kubectl` lists them: what happened, how often, and when last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from reconciler.cli.tables import age, shortened, table
from reconciler.store.base import Event

__all__ = ["event_table"]

MAX_MESSAGE = 300


def event_table(events: Sequence[Event], now: datetime, *, with_service: bool) -> str:
    """A table of events, in the order given."""
    headers = ["LAST SEEN", "TYPE", "REASON", *(["SERVICE"] if with_service else []), "MESSAGE"]
    rows = []
    for event in events:
        seen = age(event.last_time, now)
        if event.count > 1:
            seen += f" (x{event.count} over {age(event.first_time, now)})"
        kind = click.style(event.type, fg="yellow") if event.type == "Warning" else event.type
        service = [event.subject] if with_service else []
        # Details, such as the last log lines of a dead container, are on lines of their own.
        message = shortened(" ".join(event.message.split()), MAX_MESSAGE)
        rows.append([seen, kind, event.reason, *service, message])
    return table(headers, rows)
