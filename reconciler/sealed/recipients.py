"""The recipients that the secrets of a directory are encrypted to: `.age-recipients`, a line for each.

An age file does not say who can read it. This file does, for `vaultctl secret encrypt` and for messages about a missing
key. It holds no secret and belongs into Git beside what is encrypted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.api.errors import ManifestError, Problem
from reconciler.api.text_file import read_text
from reconciler.sealed.age import is_recipient
from reconciler.sealed.errors import SealedError, sealed_error
from reconciler.sealed.keys import Key

__all__ = ["NAME", "Recipient", "missing", "nearest", "read_recipients"]

NAME: Final = ".age-recipients"
MAX_LEVELS: Final = 40


@dataclass(frozen=True, slots=True)
class Recipient:
    """The public half of a key, and where it is written."""

    text: str
    path: Path
    line: int

    @property
    def place(self) -> str:
        """Where it is written, for people."""
        return f"{self.path}:{self.line}"


def nearest(directory: Path) -> Path | None:
    """The `.age-recipients` of a directory: its own, or within a working copy of Git that of the nearest one above."""
    directory = directory.absolute()
    above = [directory, *directory.parents][:MAX_LEVELS]
    top = next((each for each in above if (each / ".git").exists()), directory)
    for each in above[: above.index(top) + 1]:
        if (each / NAME).is_file():
            return each / NAME
    return None


def read_recipients(path: Path) -> tuple[Recipient, ...]:
    """The recipients of a file, each once. Raises SealedError with every line that is none, ManifestError for no text."""
    found: dict[str, Recipient] = {}
    problems: list[Problem] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if is_recipient(text):
            found.setdefault(text, Recipient(text, path, number))
        else:
            # Not quoted: it may be a private key, by mistake.
            problems += sealed_error(
                path,
                number,
                "is no age recipient",
                "write one that starts with age1, as age-keygen -y prints it",
            ).problems
    if problems:
        raise SealedError(problems)
    return tuple(found.values())


def missing(directory: Path, keys: Sequence[Key]) -> str:
    """The recipients of a directory without a key here, as the end of a message; "" if none is known."""
    try:
        # A checkout of the controller has no .git; what is only told may come from further above.
        path = nearest(directory) or _above(directory)
        named = read_recipients(path) if path else ()
    except ManifestError:
        return ""
    here = {key.recipient for key in keys}
    lacking = [f"{each.text} ({each.place})" for each in named if each.text not in here]
    return f": the key of {' or '.join(lacking)} is missing" if lacking else ""


def _above(directory: Path) -> Path | None:
    above = list(directory.absolute().parents)[:MAX_LEVELS]
    return next((each / NAME for each in above if (each / NAME).is_file()), None)
