"""Whether the kernel keeps the clock by NTP: certificates are judged by the time, of both sides."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Final

from reconciler.app.checkup.finding import Finding, ok, warn

__all__ = ["check_synchronised", "is_synchronised"]

UNSYNCHRONISED: Final = 0x0040
"""STA_UNSYNC of adjtimex(2)."""
ROOM: Final = 512
"""Bytes for a struct timex, which has 208."""


class _Timex(ctypes.Structure):
    """The beginning of a struct timex, up to its status."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * ROOM),
    )


def is_synchronised() -> bool | None:
    """Whether a program keeps the clock right; None when the kernel does not say."""
    state = _Timex()
    try:
        # Without modes it only reads, which any user may.
        if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) < 0:
            return None
    except (AttributeError, OSError):
        return None
    return not state.status & UNSYNCHRONISED


def check_synchronised(answer: bool | None) -> Iterator[Finding]:
    """A warning for a clock that nothing keeps; nothing is said of what is not known."""
    if answer is False:
        message = "the clock is not kept by NTP: a wrong time makes certificates invalid, and ACME servers refuse it"
        yield warn("clock: certificates", message, "run a time service, such as chrony or systemd-timesyncd")
    elif answer:
        yield ok("clock: certificates", "is kept by NTP")
