"""NAME arguments: which VaultServices there are, the nearest one to a mistyped name, and shell completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from reconciler.cli.session import Session, default_state_dir

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["existing", "name_argument", "names_argument"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Shelf(Protocol):
    """Where objects are looked up: the store itself, or a glance at it."""

    def names(self) -> tuple[str, ...]:
        """The names of all."""

    def get(self, name: str) -> StoredObject | None:
        """The one of that name."""


def name_argument(*, required: bool = True) -> Callable[[Decorated], Decorated]:
    """One NAME of a VaultService; the verb gets `name`."""
    return click.argument("name", required=required, shell_complete=_complete)


def names_argument(*, required: bool) -> Callable[[Decorated], Decorated]:
    """Any number of NAMEs; the verb gets `names`."""
    return click.argument("names", metavar="NAME...", nargs=-1, required=required, shell_complete=_complete)


def existing(objects: Shelf, names: Sequence[str]) -> list[StoredObject]:
    """The objects of these names, each once and in their order; `vaultservice/NAME` is understood too.

    Raises VaultError that says which there are.
    """
    found = []
    for name in dict.fromkeys(name.rpartition("/")[2] for name in names):
        there = objects.names()
        stored = objects.get(name) if name in there else None
        if stored is None:
            from reconciler.api import VaultError
            from reconciler.api.diagnosis import nearest

            near = nearest(name, there)
            hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(there) or 'none'}"
            raise VaultError(f"there is no VaultService {name!r}; {hint}")
        found.append(stored)
    return found


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.api.errors import VaultError
    from reconciler.store.layout import names_in, services_of

    # Only the directory is read: a key press should not wait for anything to be wired.
    session = context.find_object(Session)
    state = os.environ.get("VAULT_STATE_DIR") or default_state_dir(os.environ, os.geteuid())
    try:
        names = names_in(services_of(session.state_dir if session else Path(state)))
    except VaultError:
        return []
    return [name for name in names if name.startswith(incomplete)]
