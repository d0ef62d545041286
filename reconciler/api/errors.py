"""The errors a user may see.

    VaultError
    ├── ManifestError     a manifest is wrong; carries every Problem found, each with its place
    ├── TemporaryError    an external system is not ready; the same pass may succeed later
    └── PermanentError    a retry cannot help until the spec changes

A caller catches them by what to do (retry, give up, show), not by origin. The command line prints `str()` of an error:
it holds no secret and can be understood without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from reconciler.api.disk_names import as_text
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
    """Retry after `delay` seconds, or after the queue's own backoff if `delay` is None."""

    reason = Reason.TEMPORARY

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class PermanentError(VaultError):
    """A retry cannot succeed until the spec, a file that it names, or the machine is changed."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake at one position.

    `line` and `column` count from 1; 0 means the whole file. `field` is the dotted path of the value
    ("spec.ports.http") or empty. `suggestion` says what to do and may be empty.
    """

    path: Path
    line: int
    column: int
    field: str
    message: str
    suggestion: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`, or `file` for a problem of the whole file; editors and terminals link it."""
        path = as_text(str(self.path))
        return f"{path}:{self.line}:{self.column}" if self.line else path

    def __str__(self) -> str:
        subject = f"{self.field}: " if self.field else ""
        advice = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.place}: {subject}{self.message}{advice}"


class ManifestError(VaultError):
    """A manifest cannot be used. `problems` holds every mistake, in file order, so that one edit can fix them all."""

    reason = Reason.MANIFEST

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
