"""Renders templates: every value is escaped, and characters that are not to be seen are replaced.

Some of these would let a text reach over its end, or show its letters in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["STATIC", "environment", "render"]

_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
STATIC: Final[Mapping[str, tuple[bytes, str]]] = {
    path.name: (path.read_bytes(), _TYPES[path.suffix])
    for path in sorted((_HERE / "static").iterdir())
    if path.suffix in _TYPES
}
"""Content and type of each file that is served, by its name: no request reaches the file system."""


def render(template: str, **values: Any) -> str:
    """The text of a template."""
    return environment().get_template(template).render(values)


@cache
def environment() -> Environment:
    """The templates, with their filters."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters["moment"] = _moment
    made.filters["age"] = _age
    made.globals["static"] = _static
    return made


def _finalize(value: Any) -> Any:
    """What is written for a value; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(each if each.isprintable() or each in "\n\t" else "�" for each in value)


def _static(name: str) -> str:
    """The address of a file of `static`; another one when its content is another."""
    return f"/static/{name}?v={hashlib.sha256(STATIC[name][0]).hexdigest()[:12]}"


def _moment(when: datetime | str | None) -> Markup:
    """A time (a text in RFC 3339 is one), which the browser shows in the zone of its reader."""
    if not when:
        return Markup("")
    when = datetime.fromisoformat(when) if isinstance(when, str) else when
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    )


def _age(when: datetime | None, now: datetime) -> Markup:
    """How long ago that was, with the time itself for those who point at it."""
    if when is None:
        return Markup("")
    seconds = max(0, int((now - when).total_seconds()))
    text = next(
        (
            f"{seconds // size}{unit}"
            for size, unit in ((86400, "d"), (3600, "h"), (60, "m"))
            if seconds >= 2 * size
        ),
        f"{seconds}s",
    )
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-age="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M:%S} UTC", int(when.timestamp()), text
    )
