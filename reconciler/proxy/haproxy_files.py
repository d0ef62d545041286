"""The configuration directory of one VaultService: read, validate, replace.

Each file is replaced by a rename and haproxy.cfg last, so that a crash leaves either the old truth or the new one, or
files whose digest says that they must be written again. Only HAProxy's own user can read them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from reconciler.core.stack import Site
from reconciler.proxy.haproxy_config import CONFIG_FILE, asset_names

__all__ = ["Validate", "give", "prepare", "read_files", "validate_files", "write_files"]

Validate = Callable[[str, Path, str], None]
"""Runs `haproxy -c` of an image (its reference) on a configuration directory as a user ("uid:gid"); raises with HAProxy's
message. The user is the one that HAProxy will run as: nobody else may read the directory."""

_SCRATCH: Final = ".check-"
_FILE_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750


def read_files(directory: Path) -> dict[str, str]:
    """The files of a configuration directory that exist, by relative path."""
    found: dict[str, str] = {}
    for name in (CONFIG_FILE, *asset_names()):
        try:
            found[name] = (directory / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
    return found


def prepare(site: Site) -> None:
    """Make the directories that HAProxy's containers mount; a missing one would be made by the engine, for root."""
    for directory in (site.config, site.run):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(_DIRECTORY_MODE)
        give(directory, site)


def validate_files(site: Site, image: str, files: Mapping[str, str], validate: Validate) -> None:
    """Let the image's own HAProxy read these files before any other does; raises what `validate` raises."""
    # Beside the real ones and not in /tmp: the engine must find it, also when the controller runs in a container.
    for abandoned in site.directory.glob(f"{_SCRATCH}*"):
        # Its owner was killed in the middle: a service is worked on by one process at a time, and now that is us.
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=site.directory) as scratch:
        directory = Path(scratch)
        directory.chmod(_DIRECTORY_MODE)
        give(directory, site)
        write_files(directory, files, site)
        validate(image, directory, f"{site.uid}:{site.gid}")


def write_files(directory: Path, files: Mapping[str, str], site: Site) -> None:
    """Replace the files that differ, haproxy.cfg last."""
    present = read_files(directory)
    for name in sorted(files, key=lambda name: (name == CONFIG_FILE, name)):
        if present.get(name) != files[name]:
            _replace(directory / name, files[name], site)


def _replace(path: Path, text: str, site: Site) -> None:
    if not path.parent.exists():
        path.parent.mkdir(_DIRECTORY_MODE)
        give(path.parent, site)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), _FILE_MODE)
            os.fsync(file.fileno())
        give(Path(temporary), site)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_DIRECTORY)
    try:
        # The rename itself reaches the disk with its directory.
        os.fsync(directory)
    finally:
        os.close(directory)


def give(path: Path, site: Site) -> None:
    """Make HAProxy's user the owner of a file, as far as we may.

    A link is not followed: HAProxy can write into these directories, and would be given what it points to.
    """
    if os.geteuid() == 0:
        os.chown(path, site.uid, site.gid, follow_symlinks=False)
