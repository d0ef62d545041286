"""HAProxy's events: a server went UP or DOWN by its check.

HAProxy has no event stream, but it logs each state change of a server, here as a datagram to a socket in the directory of
its configuration, where it can write to sockets but not create or remove files. The datagram's content at most says whose
pass is due, and that pass observes for itself. HAProxy drops datagrams that are not received, so events only make passes
earlier.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.config import EVENTS_SOCKET
from reconciler.proxy.haproxy.directory import opened, remove

__all__ = ["ServerEvents"]

_MODE: Final = 0o600

MAX_LINE: Final = 512
"""Bytes of a line that are read; what follows is dropped."""

Whose = Callable[[bytes], str]
"""The label of the object that a line of HAProxy's is for."""


@dataclass(frozen=True)
class _Ear:
    """One object's socket, and the file that it was bound to."""

    whose: Whose
    path: Path
    file: int | None
    socket: socket.socket


class ServerEvents:
    """A socket for each service that has HAProxies, and for each gateway. Any thread may `listen`, one follows."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._ears: dict[int, _Ear] = {}
        self._by_path: dict[Path, _Ear] = {}
        self._followed = False
        self._binding = threading.Lock()

    def listen(self, whose: str | Whose, site: Site) -> None:
        """Listen to the HAProxies of an object from now on; `whose` is its label, or tells the label of the one that a line
        is for. Without a follower it does nothing. Raises OSError.
        """
        path = site.config / EVENTS_SOCKET
        # Services that share a HAProxy share its socket.
        with self._binding:
            known = self._by_path.get(path)
            if self._followed and site.config.is_dir() and not (known and known.file == _file(path)):
                self._forget_the_gone()
                self._add(_bound((lambda line: whose) if isinstance(whose, str) else whose, path, site))

    def follow(self) -> Iterator[str]:
        """The label of an object for each change of one of its servers, without end."""
        self._followed = True
        return self._names()

    def close(self) -> None:
        """Stop listening, for good."""
        with self._binding:
            self._followed = False
            for ear in list(self._ears.values()):
                self._forget(ear)
            self._poll.close()

    def _names(self) -> Iterator[str]:
        while True:
            for descriptor, _ in self._poll.poll():
                if ear := self._ears.get(descriptor):
                    line = b""
                    with suppress(OSError):
                        line = ear.socket.recv(MAX_LINE)
                    yield ear.whose(line)

    def _add(self, ear: _Ear) -> None:
        self._ears[ear.socket.fileno()] = self._by_path[ear.path] = ear
        self._poll.register(ear.socket, select.EPOLLIN)

    def _forget_the_gone(self) -> None:
        """Sockets whose file was removed, with its service or manually."""
        for ear in list(self._ears.values()):
            if ear.file != _file(ear.path):
                self._forget(ear)

    def _forget(self, ear: _Ear) -> None:
        self._ears.pop(ear.socket.fileno(), None)
        self._by_path.pop(ear.path, None)
        ear.socket.close()


def _bound(whose: Whose, path: Path, site: Site) -> _Ear:
    """A new socket at this path, which replaces one of a dead process."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        # Before the rename, so that it never has another mode.
        os.fchmod(made.fileno(), _MODE)
        with opened(site.config) as directory:
            remove(directory, path.name)
            made.bind(f"/proc/self/fd/{directory}/{path.name}")
            if os.geteuid() == 0:
                os.chown(path.name, site.uid, site.gid, dir_fd=directory, follow_symlinks=False)
        return _Ear(whose, path, _file(path), made)
    except OSError:
        made.close()
        raise


def _file(path: Path) -> int | None:
    """The inode of a file, if it exists."""
    try:
        return path.lstat().st_ino
    except OSError:
        return None
