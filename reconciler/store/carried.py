"""The files of a state directory without which a controller on another node would be another one: logins, authorities, and
the certificates of gateways. Histories are not among them, nor what is made again from these.

Files that belong together are one content: a key without its certificate is of no use.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler.api import PermanentError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.store import files
from reconciler.store.layout import has, names_in, objects_of

__all__ = ["CarriedFiles"]

TOGETHER: Final[Mapping[str, Sequence[str]]] = {
    "logins": ("users.json", "tokens.json", "sessions.json"),
    "agents": ("agents.json", "agents/ca.key", "agents/ca.crt"),
    "api": ("api/ca.key", "api/ca.crt"),
}
"""The files of each content by its label. A certificate is written after its key: without that it counts as missing."""
CERTIFICATES: Final = "certificates"
BELOW: Final = (".", "accounts", "orders")
"""The directories of a gateway's certificates."""
PRIVATE_DIRECTORY: Final = 0o700
_OF_GATEWAY: Final = re.compile(
    r"gateway/(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)/"
    r"(?P<file>[a-z-]+-(?:[0-9a-f]{1,32}|default)\.pem|state\.json|(?:accounts|orders)/[0-9a-f]{1,32}\.json)"
)


class CarriedFiles:
    """Those of one state directory, by labels: "logins", "agents", "api", and "gateway/NAME/FILE". Methods raise
    TemporaryError for what the disk refuses.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state = state_dir
        self._gateways = objects_of(state_dir, VAULT_GATEWAY)

    def directories(self) -> Sequence[Path]:
        """Where these files are, as far as these directories exist."""
        own = {self._state, *((self._state / file).parent for group in TOGETHER.values() for file in group)}
        of_gateways = (
            self._gateways / name / CERTIFICATES / below
            for name in names_in(self._gateways)
            for below in BELOW
        )
        return [each for each in (*sorted(own), *of_gateways) if each.is_dir()]

    def labels(self) -> Collection[str]:
        """Of the contents that are here."""
        found = [label for label in TOGETHER if self._present(label)]
        for name in names_in(self._gateways):
            directory = self._gateways / name / CERTIFICATES
            with files.disk_errors(directory, "list"):
                inside = [each for below in BELOW for each in sorted((directory / below).glob("*"))]
            labels = (f"gateway/{name}/{each.relative_to(directory)}" for each in inside)
            found += [label for label in labels if _OF_GATEWAY.fullmatch(label)]
        return found

    def content(self, label: str) -> bytes | None:
        """One of them: a JSON object of its files, in base64; None if it is not here."""
        read = {name: files.read(path) for name, path in self._paths(label)}
        there = {name: base64.b64encode(each).decode() for name, each in read.items() if each is not None}
        return json.dumps(there).encode() if there else None

    def restore(self, label: str, content: bytes) -> bool:
        """Write the files that a content has, private, and whether there is a place for them: one of a gateway that is not
        here has none. Raises PermanentError for what is no content of this label.
        """
        paths = dict(self._paths(label))
        try:
            found = json.loads(content)
            texts = {name: base64.b64decode(found[name], validate=True) for name in paths if name in found}
            if not texts or found.keys() - texts.keys():
                raise ValueError
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise PermanentError(f"what was kept as {label} cannot be understood") from None
        match = _OF_GATEWAY.fullmatch(label)
        if match and not has(self._gateways, match["name"]):
            return False
        for name, text in texts.items():
            path = paths[name]
            with files.disk_errors(path, "write"):
                self._make(path.parent)
            files.write(path, text, durable=True)
        return True

    def remove_order(self, label: str) -> bool:
        """Remove an unfinished order of a certificate; whether this is one. No other file has to go."""
        match = _OF_GATEWAY.fullmatch(label)
        if match is None or not match["file"].startswith("orders/"):
            return False
        for _, path in self._paths(label):
            with files.disk_errors(path, "remove"):
                path.unlink(missing_ok=True)
        return True

    def _present(self, label: str) -> bool:
        return any(path.exists() for _, path in self._paths(label))

    def _paths(self, label: str) -> Iterator[tuple[str, Path]]:
        if label in TOGETHER:
            yield from ((name, self._state / name) for name in TOGETHER[label])
        elif match := _OF_GATEWAY.fullmatch(label):
            yield match["file"], self._gateways / match["name"] / CERTIFICATES / match["file"]

    def _make(self, directory: Path) -> None:
        missing = [each for each in (directory.parent, directory) if not each.is_dir()]
        for each in missing:
            each.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
