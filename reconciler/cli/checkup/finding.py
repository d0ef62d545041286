"""What a check has to say: how bad it is, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "fail", "ok", "warn"]


class Level(StrEnum):
    """How bad it is: FAIL keeps services from being kept, WARN costs something when things go wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"

    @property
    def color(self) -> str:
        """The terminal colour that people expect of it."""
        return {"ok": "green", "warn": "yellow", "fail": "red"}[self.value]


@dataclass(frozen=True)
class Finding:
    """One finding of the check `check`; `fix` is empty when there is nothing to do."""

    check: str
    level: Level
    message: str
    fix: str = ""


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warn(check: str, message: str, fix: str) -> Finding:
    """It works, and one day it may not."""
    return Finding(check, Level.WARN, message, fix)


def fail(check: str, message: str, fix: str) -> Finding:
    """It cannot work like this."""
    return Finding(check, Level.FAIL, message, fix)
