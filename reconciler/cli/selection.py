"""The options that choose objects: `--selector`, `--field-selector` and `--namespace`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

__all__ = ["namespace_options", "selection_options"]


def selection_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options `-l` and `--field-selector`; the verb gets `selection`."""

    @functools.wraps(verb)
    def collected(*args: Any, selector: str | None, field_selector: str | None, **kwargs: Any) -> Any:
        from reconciler.app.selecting import Selection

        return verb(*args, selection=Selection.parse(selector, field_selector), **kwargs)

    options = (
        click.option(
            "-l",
            "--selector",
            metavar="SELECTOR",
            help="Only objects with these labels: team=web,tier in (a,b),size!=1,key,!key.",
        ),
        click.option(
            "--field-selector",
            metavar="SELECTOR",
            help="Only objects with these fields: metadata.name=NAME or !=NAME.",
        ),
    )
    decorated: Callable[..., Any] = collected
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def namespace_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The option `-n`, for people who always write it; there is one namespace."""

    @functools.wraps(verb)
    def checked(*args: Any, namespace: str | None, **kwargs: Any) -> Any:
        from reconciler.app.selecting import require_namespace

        require_namespace(namespace)
        return verb(*args, **kwargs)

    option = click.option("-n", "--namespace", metavar="NAME", help="There is only `default`.")
    return option(checked)
