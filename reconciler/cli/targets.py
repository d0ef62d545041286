"""The objects that a verb is about, given by name, by manifest, by label, or as all of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.app.selecting import Selection
    from reconciler.store.base import Objects, StoredObject

__all__ = ["targets"]


def targets(
    objects: Objects, names: Sequence[str], files: Sequence[Path], selection: Selection, *, everything: bool
) -> list[Ref]:
    """Each object once. Those of names and manifests need not exist. Raises click.UsageError when nothing was named, and
    for names beside manifests.
    """
    from reconciler.api.kinds import Ref
    from reconciler.app.finding import kind_and_names, refs_of
    from reconciler.cli.manifests import read

    kind, which = kind_and_names(objects, names)
    if files and (names or everything):
        raise click.UsageError("name objects, or manifests with -f, not both")
    if files:
        found = [each.resource.ref for each in read(files)]
    elif which:
        found = refs_of(objects, names)
    elif everything or not selection.is_everything:
        found = [Ref(kind, name) for name in objects.of(kind).names()]
    else:
        what = f"the {names[0]}" if names else "the services"
        raise click.UsageError(f"name {what}, or choose them with -f, -l or --all")
    return list(dict.fromkeys(ref for ref in found if _is_selected(objects, ref, selection)))


def _is_selected(objects: Objects, ref: Ref, selection: Selection) -> bool:
    if selection.is_everything:
        return True
    stored: StoredObject[Any] | None = objects.of(ref.kind).get(ref.name)
    return stored is not None and selection.selects(stored)
