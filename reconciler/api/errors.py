"""The errors a user may see.

    VaultError
    ├── ManifestError     a manifest is wrong; carries every Problem found, each with its place
    ├── TemporaryError    the outside world is not ready; the same pass may succeed later
    └── PermanentError    asking again cannot help until the spec changes

They live in one file so that a layer above can catch by meaning (retry, give up, show) instead of by origin.
`str()` of any of them is what the command line prints: it never holds a secret and never needs a traceback to
be understood.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from reconciler.api.reasons import Reason

__all__ = ["ManifestError", "PermanentError", "Problem", "TemporaryError", "VaultError"]


class VaultError(Exception):
    """Base of every error a user may see; `message` is one clear sentence and equals `str()`, `reason` its word for
    programs.
    """

    reason: ClassVar[Reason] = Reason.PERMANENT

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TemporaryError(VaultError):
    """Worth another try: after `delay` seconds, or after the queue's own backoff when `delay` is None."""

    reason = Reason.TEMPORARY

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class PermanentError(VaultError):
    """Not worth another try until somebody changes the spec, a file it names, or the machine."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in one place.

    `line` and `column` count from 1; 0 means that the problem belongs to the whole file. `field` is the
    dotted path of the value ("spec.ports.http"), empty when there is none. `suggestion` says what to do and
    may be empty.
    """

    path: Path
    line: int
    column: int
    field: str
    message: str
    suggestion: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`, or `file` alone for a problem of the whole file; editors and terminals make it
        a link.
        """
        return f"{self.path}:{self.line}:{self.column}" if self.line else str(self.path)

    def __str__(self) -> str:
        subject = f"{self.field}: " if self.field else ""
        advice = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.place}: {subject}{self.message}{advice}"


class ManifestError(VaultError):
    """A manifest cannot be used. `problems` holds everything that is wrong, in file order, so that one edit
    can fix it all.
    """

    reason = Reason.MANIFEST

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
