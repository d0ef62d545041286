"""TLS for servers whose certificate is renewed while they serve: each handshake shows the one that is in the file then.

Connections that are open stay open. TLS 1.3 only, and no session is resumed, so that a client shows its certificate, and
has it verified, on each connection.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from reconciler.web.server import Tls

__all__ = ["RenewedTls", "renewed"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RenewedTls(Tls):
    """See Tls; with authorities, a client without a certificate of theirs is refused."""

    def context(self, config: uvicorn.Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """See Tls.context."""
        return renewed(partial(self._make, config, usual), self.certificate)

    def _make(self, config: uvicorn.Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        # Not by `super`, which does not work in a dataclass with slots.
        made = Tls.context(self, config, usual)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.num_tickets = 0
        if self.authorities:
            made.verify_mode = ssl.CERT_REQUIRED
        return made


def renewed(make: Callable[[], ssl.SSLContext], file: Path) -> ssl.SSLContext:
    """A context for a server, in whose place another one is made whenever this file has changed."""
    return _Renewed(make, file).first


class _Renewed:
    """The context of a server, and the one that takes its place; used in the thread that serves."""

    def __init__(self, make: Callable[[], ssl.SSLContext], file: Path) -> None:
        self._make = make
        self._file = file
        self._stamp = self._now()
        self.first = self._current = make()
        self.first.sni_callback = self._choose

    def _choose(self, handshake: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._make()
            except (OSError, ssl.SSLError) as error:
                _log.warning("the new certificate in %s cannot be used: %s", self._file, error)
        if self._current is not self.first:
            handshake.context = self._current

    def _now(self) -> object:
        try:
            said = self._file.stat()
        except OSError:
            return None
        return said.st_ino, said.st_mtime_ns, said.st_size
