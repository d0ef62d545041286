"""The layout of the state directory: `<state>/services/<name>/object.json` and `status.json`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.store import files

OBJECT: Final = "object.json"
STATUS: Final = "status.json"


def services_of(state_dir: Path) -> Path:
    """The directory with one subdirectory for each service."""
    return state_dir / "services"


def names_in(services: Path) -> tuple[str, ...]:
    """The names of all objects, sorted; a directory without an object belongs to a removed service."""
    with files.disk_errors(services, "list"), suppress(FileNotFoundError):
        return tuple(sorted(entry.name for entry in services.iterdir() if (entry / OBJECT).is_file()))
    return ()
