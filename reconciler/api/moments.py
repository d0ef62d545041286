"""How documents write a moment. Without a model, for commands that must start quickly."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["format_moment"]


def format_moment(moment: datetime) -> str:
    """An aware datetime in RFC 3339, in UTC, with whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
