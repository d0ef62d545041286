"""The liveness and readiness checks of a supervisor, and their result.

`live` covers this process alone: if it fails, a restart helps. `ready` also covers the engine, the sources and the
workers. A restart does not bring an engine back, so an unavailable engine must never fail `live`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `detail` is a sentence for users and is sent over HTTP: no secrets.

    If the check failed, it says what is wrong and what to do.
    """

    name: str
    ok: bool
    detail: str = ""


Probe: TypeAlias = Callable[[], Iterable[Check]]
"""Returns from memory, without blocking, in any thread."""


@dataclass(frozen=True, slots=True)
class Health:
    """The checks of `/healthz` and `/readyz`. All checks must be ok; an empty list is ok."""

    live: Probe
    ready: Probe
