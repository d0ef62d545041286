"""Checks the keys that decrypt settings files: can they be used, and can only their owner read them?"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.app.checkup.finding import Finding, fail, ok
from reconciler.sealed import Keyring, SealedError

__all__ = ["check_keys"]

NAME = "age keys"


def check_keys(keyring: Keyring) -> Iterator[Finding]:
    """What the keys are, by their public halves; nothing is said where none is named."""
    if not keyring.paths:
        return
    try:
        keys = keyring.load()
    except SealedError as error:
        for problem in error.problems:
            yield fail(NAME, f"{problem.place}: {problem.message}", problem.suggestion)
    else:
        yield ok(NAME, ", ".join(f"{key.recipient} ({key.path})" for key in keys) or "there are none")
