"""NAME arguments, and their shell completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from reconciler.cli.session import Session, default_state_dir

__all__ = ["name_argument", "names_argument", "one"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Found = TypeVar("Found")


def name_argument() -> Callable[[Decorated], Decorated]:
    """One NAME of a VaultService, or KIND/NAME; the verb gets `name`."""
    return click.argument("name", shell_complete=_complete)


def names_argument(*, required: bool, metavar: str = "[KIND] NAME...") -> Callable[[Decorated], Decorated]:
    """Any number of NAMEs after a KIND, or of KIND/NAMEs; the verb gets `names`."""
    return click.argument("names", metavar=metavar, nargs=-1, required=required, shell_complete=_complete)


def one(found: Sequence[Found]) -> Found:
    """The only one. Raises click.UsageError for none, as after a KIND alone, and for several."""
    if len(found) != 1:
        raise click.UsageError("name one object, as NAME, KIND NAME or KIND/NAME")
    return found[0]


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.api.errors import VaultError
    from reconciler.api.kinds import KINDS, VAULT_SERVICE, kind_called
    from reconciler.store.layout import names_in, objects_of

    # Only directories are read, so that completion does not wait for the wiring.
    session = context.find_object(Session)
    fallback = os.environ.get("VAULT_STATE_DIR") or default_state_dir(os.environ, os.geteuid())
    state = session.state_dir if session else Path(fallback)
    before = context.params.get("names") or ()
    called, slash, _name = incomplete.partition("/")
    kind = kind_called(called if slash else before[0] if before else "")
    prefix = f"{called}/" if kind and slash else ""
    try:
        names = [prefix + name for name in names_in(objects_of(state, kind or VAULT_SERVICE))]
    except VaultError:
        return []
    # With a single kind, its name is only in the way.
    kinds = [each.plural for each in KINDS.values()] if len(KINDS) > 1 and not (slash or before) else []
    return [name for name in (*names, *kinds) if name.startswith(incomplete)]
