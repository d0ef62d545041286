"""`-o json|yaml|name|wide`: the output formats.

Text for people is rendered only when no other format is requested, so every verb passes data and a text function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from reconciler.cli.tables import printable

__all__ = ["listed", "output_option", "say", "to_json", "warn", "write"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

HELP: Final = {
    "json": "json",
    "yaml": "yaml",
    "name": "name (vaultservice/NAME)",
    "wide": "wide (more columns)",
}


def output_option(*formats: str) -> Callable[[Decorated], Decorated]:
    """The option `-o/--output` with these formats; the verb gets None when it is not given."""
    choices = ", ".join(HELP[name] for name in formats)
    return click.option("-o", "--output", type=click.Choice(formats), help=f"Another format: {choices}.")


def write(output: str | None, data: Mapping[str, Any] | Sequence[Any], text: Callable[[], str]) -> None:
    """Write `data` as JSON or YAML on stdout, or what `text()` returns when no such format was asked for."""
    if output == "json":
        click.echo(to_json(data, indent=2))
    elif output == "yaml":
        from reconciler.api.yaml_writing import document

        click.echo(document(data, readable=True), nl=False)
    else:
        click.echo(text())


def to_json(data: Any, indent: int | None = None) -> str:
    """Indented JSON without terminal control characters. Values that JSON cannot represent become text."""
    text = json.dumps(data, indent=indent, ensure_ascii=False, default=str)
    # Outside of strings JSON has only ASCII syntax, so a character that is found here is inside of one.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def listed(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several documents as one, in the shape that `kubectl get` gives them."""
    return {"apiVersion": "v1", "kind": "List", "items": list(documents)}


def say(text: str) -> None:
    """Write a note to stderr, so that stdout only holds the answer."""
    click.echo(printable(text), err=True)


def warn(text: str) -> None:
    """Warn on stderr."""
    click.echo(f"{click.style('Warning:', fg='yellow')} {printable(text)}", err=True)
