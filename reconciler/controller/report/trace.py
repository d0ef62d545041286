"""The pass that this thread runs. Its id is in every log line and in the exemplars of its metrics, so that a slow bucket in
a dashboard leads to the log lines of that pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Trace", "current", "exemplar", "tracing"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One pass over one VaultService."""

    reconcile_id: str
    service: str


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def tracing(service: str) -> Iterator[Trace]:
    """Mark the block as one pass of this thread over `service`, with an id of its own."""
    trace = Trace(os.urandom(6).hex(), service)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def current() -> Trace | None:
    """The pass that this thread is in, if it is in one."""
    return _current.get()


def exemplar() -> Mapping[str, str]:
    """The labels of an exemplar that leads to the present pass; empty outside of one."""
    trace = _current.get()
    return {"reconcile_id": trace.reconcile_id} if trace else {}
