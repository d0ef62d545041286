"""The files of a site, of which an agent has a copy: their digests, their contents, and how a copy is written.

The loop's own directory is the truth. Whatever an agent has besides, or has otherwise, is replaced at the next call: it was
away, its node is a new one, or a file was edited manually.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.directory import (
    FILE_MODE,
    SECRET_MODE,
    opened,
    opened_below,
    remove,
    replace_below,
)
from reconciler.proxy.haproxy.files import SETTLED_NS, prepare, read_files

__all__ = ["Digests", "order", "put"]

DIRECTORIES: Final = ("maps", "pages", "pools", "tls")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.[a-z]{2,8}")
_OWN: Final = re.compile(r"servers-[0-9]+\.state|[^.]*\.sock")
"""What the machine with the HAProxy makes itself: the states of servers for the next worker, and sockets."""


@dataclass
class Digests:
    """The digests of the files of sites. One that has not changed is not read again; any thread may ask."""

    _known: dict[tuple[Path, str], tuple[Stamp, str]] = field(default_factory=dict)

    def of(self, site: Site) -> dict[str, str]:
        """The SHA-256 of each file of a site in hex, by its name relative to the directory. Raises OSError."""
        stamps = _stamps(site)
        known = {name: self._known.get((site.config, name)) for name in stamps}
        found = {name: said[1] for name, said in known.items() if said and said[0] == stamps[name]}
        now = time.time_ns()
        for name, text in read_files(site.config, [name for name in stamps if name not in found]).items():
            found[name] = sha256(text.encode()).hexdigest()
            # One that has just changed can change again within the same tick of the kernel's clock.
            if abs(now - stamps[name].changed) > SETTLED_NS:
                self._known[site.config, name] = (stamps[name], found[name])
        return dict(sorted(found.items()))

    def whole(self, site: Site) -> str:
        """The SHA-256 of the digests of all files of a site, in hex. Raises OSError."""
        files = self.of(site)
        return sha256("\n".join(f"{name} {each}" for name, each in files.items()).encode()).hexdigest()


class Stamp(NamedTuple):
    """What changes when a file does; its time cannot be set back, unlike that of the last modification."""

    inode: int
    changed: int
    size: int


def put(site: Site, files: Mapping[str, str], gone: Collection[str]) -> None:
    """Write files into a copy, those that name others last, then remove those that are gone. Raises OSError."""
    prepare(site)
    with opened(site.config) as config:
        for name in sorted(files, key=order):
            _replace(config, name, files[name], site)
        for name in gone:
            below, _, last = name.rpartition("/")
            if not below:
                remove(config, last)
                continue
            with suppress(FileNotFoundError), opened_below(config, below) as directory:
                remove(directory, last)


def order(name: str) -> tuple[int, str]:
    """The place of a file among those that are written together: one that names others comes after them."""
    below, _, last = name.rpartition("/")
    if not below and last.endswith(".cfg"):
        return 2, name
    return int(last.endswith(".list")), name


def _replace(config: int, name: str, text: str, site: Site) -> None:
    below, _, last = name.rpartition("/")
    # As tls_files.py writes them: on the network of the host root reads them, and can read those of no other user.
    owner = replace(site, uid=site.starter) if below == "tls" and site.starter is not None else site
    mode = SECRET_MODE if below == "tls" and last.endswith(".pem") else FILE_MODE
    replace_below(config, name, text.encode(), site, owner=owner, mode=mode)


def _stamps(site: Site) -> dict[str, Stamp]:
    """The files of a site that there are."""
    found: dict[str, Stamp] = {}
    with suppress(FileNotFoundError), opened(site.config) as config:
        found.update(_files_in(config, ""))
        for below in DIRECTORIES:
            with suppress(FileNotFoundError, NotADirectoryError), opened_below(config, below) as directory:
                found.update(_files_in(directory, f"{below}/"))
    return found


def _files_in(directory: int, prefix: str) -> Iterator[tuple[str, Stamp]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if not _NAME.fullmatch(entry.name) or _OWN.fullmatch(entry.name):
                continue
            with suppress(FileNotFoundError):
                said = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(said.st_mode):
                    yield f"{prefix}{entry.name}", Stamp(said.st_ino, said.st_ctime_ns, said.st_size)
