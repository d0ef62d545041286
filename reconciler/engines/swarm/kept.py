"""What follows a controller as configs of the Swarm: each content under a name with its digest, as Swarm's are immutable.

There are two sorts: objects in clear, and files of the state directory, which are encrypted. Of two versions the one of the
later term of the lease counts, and of one term the newer one: so a controller that was stopped, and goes on while another
one acts, replaces nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.swarm.api import CONFLICT, SwarmApi, status_of
from reconciler.engines.swarm.marks import TERM
from reconciler.packing import packed, unpacked

__all__ = ["OBJECTS", "STATE_MARK", "Sort", "SwarmKept"]

OBJECT: Final = "internal.vault.object"
STATE_MARK: Final = "internal.vault.state"
LONGEST: Final = 500_000
"""Bytes of a config; Swarm refuses more."""
LONGEST_CONTENT: Final = 16 * 1024 * 1024
"""Bytes of a content: what is read is not trusted with memory."""
DIGITS: Final = 16

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of configs: the label that says what each is of, the beginning of their names, and how contents are packed.

    `unpack` gives None for what it cannot open, and may raise ValueError for what is damaged.
    """

    mark: str
    prefix: str
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes], bytes | None]


OBJECTS: Final = Sort(OBJECT, "vault-object", packed, partial(unpacked, longest=LONGEST_CONTENT))


class SwarmKept:
    """The kept contents of one sort in a Swarm, by one manager. `term` is that of the lease that the writer holds."""

    def __init__(self, docker: DockerApi, sort: Sort = OBJECTS, term: Callable[[], int] = lambda: 0) -> None:
        self._api = SwarmApi(docker)
        self._sort = sort
        self._term = term

    def read(self) -> Mapping[str, bytes | None]:
        """All of them, None for one that cannot be opened. Raises EngineError."""
        # Of two versions the later one counts: the controller was killed before it could remove the other.
        return {self._label(row): self._content(row) for row in sorted(self._rows(), key=_version)}

    def labels(self) -> frozenset[str]:
        """The labels of all of them. Raises EngineError."""
        return frozenset(map(self._label, self._rows()))

    def keep(self, label: str, content: bytes) -> None:
        """Keep this content in place of the one before. Raises RefusedError if it is too long, EngineError otherwise."""
        data = self._sort.pack(content)
        if len(data) > LONGEST or len(content) > LONGEST_CONTENT:
            raise RefusedError(
                f"{label} has {len(data)} bytes compressed, and a config of a Swarm at most {LONGEST}"
            )
        term = str(self._term())
        # The digest is that of the packed content: that of a secret would confirm a guess.
        name = f"{self._sort.prefix}-{_digest(label.encode())}-{_digest(term.encode() + data)}"
        marks = {self._sort.mark: label, TERM: term}
        spec = {"Name": name, "Labels": marks, "Data": base64.b64encode(data).decode()}
        try:
            self._api.create_file("configs", spec)
        except EngineError as error:
            if status_of(error) != CONFLICT:
                raise
        for row in self._rows(label):
            if row["Spec"]["Name"] != name:
                self._api.remove_file("configs", row["ID"])

    def forget(self, label: str) -> None:
        """Keep nothing of this label any more. Raises EngineError."""
        for row in self._rows(label):
            self._api.remove_file("configs", row["ID"])

    def _rows(self, label: str = "") -> Sequence[Row]:
        return self._api.records(f"{self._sort.mark}={label}" if label else self._sort.mark)

    def _label(self, row: Row) -> str:
        return str(row["Spec"]["Labels"][self._sort.mark])

    def _content(self, row: Row) -> bytes | None:
        with suppress(ValueError, LookupError, TypeError):
            return self._sort.unpack(base64.b64decode(row["Spec"]["Data"]))
        raise EngineError(
            f"config {row['Spec'].get('Name')} was not understood: remove it, and apply {self._label(row)} again"
        )


def _version(row: Row) -> tuple[int, int]:
    try:
        term = int(row["Spec"]["Labels"].get(TERM) or 0)
    except ValueError:
        term = 0
    return term, int(row["Version"]["Index"])


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:DIGITS]
