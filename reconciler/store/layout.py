"""The layout of the state directory: `<state>/services/<name>/object.json` and `status.json`, a directory for each kind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.api.kinds import VAULT_SERVICE
from reconciler.store import files

if TYPE_CHECKING:
    from reconciler.api.kinds import Kind

OBJECT: Final = "object.json"
COPY: Final = "object.copy.json"
"""What was last written to OBJECT, for when that can no longer be understood."""
STATUS: Final = "status.json"


def objects_of(state_dir: Path, kind: Kind) -> Path:
    """The directory with one subdirectory for each object of a kind."""
    return state_dir / kind.directory


def key_of(kind: Kind) -> str:
    """The field of an object's file that holds the resource."""
    # Former releases, which know only VaultServices, can so read the files of this one.
    return "service" if kind == VAULT_SERVICE else "resource"


def names_in(objects: Path) -> tuple[str, ...]:
    """The names of all objects, sorted; a directory without an object belongs to a removed one."""
    with files.disk_errors(objects, "list"), suppress(FileNotFoundError):
        return tuple(sorted(entry.name for entry in objects.iterdir() if (entry / OBJECT).is_file()))
    return ()


def has(objects: Path, name: str) -> bool:
    """Whether there is an object of that name, which may be any text: a path out of the directory names none."""
    if "/" in name or name in ("", ".", ".."):
        return False
    with suppress(OSError):
        # Such as a name that is too long for a file.
        return (objects / name / OBJECT).is_file()
    return False
