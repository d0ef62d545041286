"""NAME arguments, and their shell completion."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.cli.session import Session, default_state_dir

__all__ = ["name_argument", "names_argument"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def name_argument(*, required: bool = True) -> Callable[[Decorated], Decorated]:
    """One NAME of a VaultService; the verb gets `name`."""
    return click.argument("name", required=required, shell_complete=_complete)


def names_argument(*, required: bool) -> Callable[[Decorated], Decorated]:
    """Any number of NAMEs; the verb gets `names`."""
    return click.argument("names", metavar="NAME...", nargs=-1, required=required, shell_complete=_complete)


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.api.errors import VaultError
    from reconciler.store.layout import names_in, services_of

    # Only the directory is read, so that completion does not wait for the wiring.
    session = context.find_object(Session)
    state = os.environ.get("VAULT_STATE_DIR") or default_state_dir(os.environ, os.geteuid())
    try:
        names = names_in(services_of(session.state_dir if session else Path(state)))
    except VaultError:
        return []
    return [name for name in names if name.startswith(incomplete)]
