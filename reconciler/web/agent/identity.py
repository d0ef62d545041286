"""An agent's own certificate and key, in one file (mode 0600) so that they are always those of each other.

A new key is made for each certificate and never leaves the node: the controller gets a signing request for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler import files
from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.certificates.agents import begins, ends, issued_for, node_request
from reconciler.certificates.errors import PeerError
from reconciler.certificates.self_signed import new_key

__all__ = ["AUTHORITY_FILE", "IDENTITY_FILE", "AgentIdentity"]

IDENTITY_FILE: Final = "agent.pem"
"""The key, then the certificate."""
AUTHORITY_FILE: Final = "ca.crt"

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


class AgentIdentity:
    """The files of one agent's directory. Any thread may use it; `clock` is the wall's."""

    def __init__(self, directory: Path, clock: Callable[[], datetime]) -> None:
        self.directory = directory
        self._clock = clock
        self._asked = ""
        self._lock = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether the agent is enrolled."""
        return (self.directory / IDENTITY_FILE).is_file()

    @property
    def node(self) -> str:
        """See Identity.node. Raises VaultError for a certificate that can no longer be used."""
        key, certificate = self._read()
        try:
            return issued_for(certificate.encode(), key, self._authority(), self._clock())
        except PeerError as error:
            raise PermanentError(
                f"{self.directory / IDENTITY_FILE}: {error}; enrol this agent again: remove {self.directory}, and see "
                "vaultctl agent token"
            ) from error

    @property
    def ends(self) -> datetime:
        """When its certificate ends."""
        return ends(self._read()[1].encode())

    def request(self) -> str:
        """See Identity.request."""
        with self._lock:
            self._asked = new_key()
            return node_request(self._asked).decode()

    def enrol(self, certificate: str, authority: str) -> str:
        """Become the agent of the node that the first certificate is for, and return that. Raises VaultError."""
        with self._lock:
            node = issued_for(certificate.encode(), self._asked, authority.encode(), self._clock())
            try:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                files.replace(self.directory / AUTHORITY_FILE, authority.encode(), durable=True)
                self._write(certificate)
            except OSError as error:
                raise TemporaryError(
                    f"cannot write the certificate into {self.directory}: {error.strerror}"
                ) from error
            return node

    def install(self, certificate: str) -> None:
        """See Identity.install."""
        with self._lock:
            if not self._asked:
                raise PeerError("no certificate was asked for")
            now, (_, before) = self._clock(), self._read()
            node = issued_for(certificate.encode(), self._asked, self._authority(), now)
            if node != self.node:
                raise PeerError(f"the certificate is for node {node}, and this is {self.node}")
            if begins(certificate.encode()) < begins(before.encode()):
                raise PeerError("the certificate is older than the one that is there")
            self._write(certificate)

    def _write(self, certificate: str) -> None:
        files.replace(
            self.directory / IDENTITY_FILE, f"{self._asked}{certificate}".encode(), durable=True, alone=True
        )
        self._asked = ""

    def _read(self) -> tuple[str, str]:
        try:
            text = (self.directory / IDENTITY_FILE).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise PermanentError(f"cannot read {self.directory / IDENTITY_FILE}: {error}") from error
        key, begin, rest = text.partition(_BEGIN)
        return key, begin + rest

    def _authority(self) -> bytes:
        try:
            return (self.directory / AUTHORITY_FILE).read_bytes()
        except OSError as error:
            raise PermanentError(f"cannot read {self.directory / AUTHORITY_FILE}: {error}") from error
