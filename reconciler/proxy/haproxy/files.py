"""The configuration directory of one VaultService: read, validate, replace.

Each file is replaced by a rename and haproxy.cfg last, so that a crash leaves either the old or the new configuration, or
files whose digest shows that they must be written again. Only HAProxy's own user can read them. Its container mounts this
directory read-only, so all files for HAProxy go here and none into the directory of its sockets.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.config import CONFIG_FILE, asset_names, state_file
from reconciler.proxy.haproxy.directory import (
    DIRECTORY_MODE,
    SHARED_MODE,
    make_directory,
    opened,
    opened_below,
    read_file,
    remove,
    replace_below,
    replace_file,
)

__all__ = ["Validate", "handed_over", "prepare", "read_files", "stamp_files", "validate_files", "write_files"]

Validate = Callable[[str, Path, str], None]
"""Runs `haproxy -c` of an image (its reference) on a configuration directory as a user ("uid:gid"); raises with HAProxy's
message. The user is that of the running HAProxy: no other user may read the directory."""

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of a file that are read: a haproxy.cfg with a thousand servers has 50 KiB, so a longer one was not written by the
controller.
"""

SETTLED_NS: Final = 2_000_000_000
"""Nanoseconds after which a file counts as not being written; ticks of file systems are shorter."""

Stamp = tuple[int, int, int, int] | None
Stamps = tuple[Stamp, ...]

_SCRATCH: Final = ".check-"
_TOP: Final = Path()


def read_files(directory: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """The files of a configuration directory that exist, by relative path: these, or those of a stack."""
    found: dict[str, str] = {}
    with suppress(FileNotFoundError), opened(directory) as here:
        wanted = sorted((CONFIG_FILE, *asset_names()) if names is None else names, key=_below)
        for below, group in groupby(wanted, _below):
            for name, text in _read(here, below, group):
                found[name] = text
    return found


def stamp_files(directory: Path) -> Stamps | None:
    """What changes when one of these files does; None when one has changed so lately that it could change once more
    within the same tick of the kernel's clock.
    """
    # Each pass asks, and making the paths takes longer than asking.
    stamps = tuple(_stamp(f"{directory}/{name}") for name in (CONFIG_FILE, *asset_names()))
    newest = max((changed for _, changed, _, _ in filter(None, stamps)), default=0)
    return stamps if abs(time.time_ns() - newest) > SETTLED_NS else None


def prepare(site: Site) -> None:
    """Create the directories that HAProxy's containers mount; the engine would create a missing one as root."""
    make_directory(site.config, site)
    # Root without capabilities, which opens its sockets, may only write there by its group.
    make_directory(site.run, site, DIRECTORY_MODE if site.starter is None else SHARED_MODE)


def validate_files(site: Site, image: str, files: Mapping[str, str], validate: Validate) -> None:
    """Validate these files with the image's own HAProxy before they are used; raises what `validate` raises."""
    # Beside the real ones and not in /tmp: the engine must find it, also when the controller runs in a container.
    for abandoned in site.directory.glob(f"{_SCRATCH}*"):
        # Left by a killed process: this process holds the lease of the service, so no other one uses it.
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=site.directory) as scratch:
        directory = Path(scratch)
        make_directory(directory, site)
        write_files(directory, files, site)
        validate(image, directory, f"{site.uid}:{site.gid}")


def write_files(directory: Path, files: Mapping[str, str], site: Site) -> None:
    """Replace the files that differ, the configuration that names the others last."""
    present = read_files(directory, files)
    with opened(directory) as here:
        for name in sorted(
            files, key=lambda name: (Path(name).parent == _TOP and name.endswith(".cfg"), name)
        ):
            if present.get(name) != files[name]:
                replace_below(here, name, files[name].encode(), site)


@contextmanager
def handed_over(site: Site, slot: int, states: str) -> Iterator[None]:
    """In the block, a worker that starts in this slot loads these states of its servers."""
    name = state_file(slot)
    with opened(site.config) as here:
        replace_file(here, name, f"{states}\n".encode(), site)
        try:
            yield
        finally:
            # A worker that starts later must not load it.
            remove(here, name)


def _stamp(path: str) -> Stamp:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # The time of the last change cannot be set back, unlike that of the last modification.
    return found.st_ino, found.st_ctime_ns, found.st_size, found.st_mode


def _below(name: str) -> str:
    """The directory of a file, "" for the first one."""
    return name.rpartition("/")[0]


def _read(directory: int, below: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The files of one directory that exist, with their texts."""
    with ExitStack() as stack:
        try:
            inner = stack.enter_context(opened_below(directory, below)) if below else directory
        except FileNotFoundError:
            return
        for name in names:
            if (text := read_file(inner, name.rpartition("/")[2], MAX_FILE)) is not None:
                yield name, text
