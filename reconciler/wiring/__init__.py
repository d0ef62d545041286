"""The one place that picks implementations: which engine, which proxy, which stores, which clock.

Each is imported when it is first needed, so that a command which only reads objects starts fast.
"""

from __future__ import annotations

from reconciler.wiring.application import RECONCILERS, Application, GitFollow, wire
from reconciler.wiring.parts import AGENT_IMAGE, RESYNC_SECONDS, WORKERS, Options, utc_now

__all__ = [
    "AGENT_IMAGE",
    "RECONCILERS",
    "RESYNC_SECONDS",
    "WORKERS",
    "Application",
    "GitFollow",
    "Options",
    "utc_now",
    "wire",
]
