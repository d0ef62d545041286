"""Keeps what a process has decrypted out of core dumps, its own and those of the commands that it starts."""

from __future__ import annotations

import resource
from typing import Final

__all__ = ["forbid_core_dumps"]

NO_DUMP: Final = 1
"""Bytes. No file of that size is begun, and no program of `core_pattern` is started, as one is with 0 (core(5))."""


def forbid_core_dumps() -> None:
    """No core dump of this process, nor of those that it starts, whatever its limits were."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = min(NO_DUMP, hard) if hard != resource.RLIM_INFINITY else NO_DUMP
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
