"""Objects as configs of the Swarm: each content compressed, under a name with its digest, because Swarm's are immutable."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.swarm.api import CONFLICT, SwarmApi, status_of

__all__ = ["SwarmKept"]

OBJECT: Final = "internal.vault.object"
LONGEST: Final = 500_000
"""Bytes of a config; Swarm refuses more."""
LONGEST_CONTENT: Final = 16 * 1024 * 1024
"""Bytes of a content: what is read is not trusted with memory."""
DIGITS: Final = 16

Row = Mapping[str, Any]


class SwarmKept:
    """The kept objects of a Swarm, by one manager."""

    def __init__(self, docker: DockerApi) -> None:
        self._api = SwarmApi(docker)

    def read(self) -> Mapping[str, bytes]:
        """All of them. Raises EngineError."""
        # Of two versions the newer one counts: the controller was killed before it could remove the other.
        return {_label(row): _content(row) for row in sorted(self._rows(), key=_version)}

    def labels(self) -> frozenset[str]:
        """The labels of all of them. Raises EngineError."""
        return frozenset(map(_label, self._rows()))

    def keep(self, label: str, content: bytes) -> None:
        """Keep this content in place of the one before. Raises RefusedError if it is too long, EngineError otherwise."""
        packed = zlib.compress(content, 9)
        if len(packed) > LONGEST or len(content) > LONGEST_CONTENT:
            raise RefusedError(
                f"{label} has {len(packed)} bytes compressed, and a config of a Swarm at most {LONGEST}"
            )
        name = f"vault-object-{_digest(label.encode())}-{_digest(content)}"
        spec = {"Name": name, "Labels": {OBJECT: label}, "Data": base64.b64encode(packed).decode()}
        try:
            self._api.create_file("configs", spec)
        except EngineError as error:
            if status_of(error) != CONFLICT:
                raise
        for row in self._rows(label):
            if row["Spec"]["Name"] != name:
                self._api.remove_file("configs", row["ID"])

    def forget(self, label: str) -> None:
        """Keep nothing of this object any more. Raises EngineError."""
        for row in self._rows(label):
            self._api.remove_file("configs", row["ID"])

    def _rows(self, label: str = "") -> Sequence[Row]:
        return self._api.records(f"{OBJECT}={label}" if label else OBJECT)


def _label(row: Row) -> str:
    return str(row["Spec"]["Labels"][OBJECT])


def _version(row: Row) -> int:
    return int(row["Version"]["Index"])


def _content(row: Row) -> bytes:
    with suppress(zlib.error, ValueError, LookupError, TypeError):
        unpacked = zlib.decompressobj()
        content = unpacked.decompress(base64.b64decode(row["Spec"]["Data"]), LONGEST_CONTENT)
        if unpacked.eof:
            return content
    raise EngineError(
        f"config {row['Spec'].get('Name')} was not understood: remove it, and apply {_label(row)} again"
    )


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:DIGITS]
