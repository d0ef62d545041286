"""A finding of a check: severity, message, and fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "fail", "ok", "warn"]


class Level(StrEnum):
    """Severity: FAIL: services cannot be reconciled; WARN: a failure would have a higher cost."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One finding of the check `check`; `fix` is empty when there is nothing to do."""

    check: str
    level: Level
    message: str
    fix: str = ""

    def document(self) -> dict[str, str]:
        """The same for programs."""
        return {"check": self.check, "level": self.level.value, "message": self.message, "fix": self.fix}


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warn(check: str, message: str, fix: str) -> Finding:
    """It works, but may fail later."""
    return Finding(check, Level.WARN, message, fix)


def fail(check: str, message: str, fix: str) -> Finding:
    """It cannot work."""
    return Finding(check, Level.FAIL, message, fix)
