"""What `restricted` requires of a container, as the engine interprets it: a user, no new privileges, limits.

A spelling that the engine takes for root, for false or for no limit counts as that; one that only the image can explain,
such as a user's name, counts as the worst.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from reconciler.core.admission.checks import items
from reconciler.core.admission.policy import Check, Hits, Subject, at

MAX_ID: Final = 2**31 - 1
MAX_MEMORY: Final = 16 * 2**40
"""Bytes; more than a machine has is no limit."""
MAX_PIDS: Final = 4_194_304
"""The kernel has no more process IDs."""
NO_NEW_PRIVILEGES: Final = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")

_USER: Final = re.compile(r"([1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9}))?")
_BYTES: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?(?:([kmgtp]?)i?b?)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def root_user(value: Any, _: Subject) -> Hits:
    """Any user but a numeric one other than root: the image defines the meaning of a name, and the default user."""
    found = _USER.fullmatch(str(value)) if isinstance(value, str | int) else None
    if found is None or any(int(part) > MAX_ID for part in (found[1], found[3] or "0")):
        yield "", "" if value is None else value


def may_gain_privileges(value: Any, _: Subject) -> Hits:
    """No entry that forbids new privileges, or more than one about them, of which the engine obeys the last."""
    entries = [str(item) for _place, item in items(value) if str(item).startswith("no-new-privileges")]
    if len(entries) != 1 or entries[0] not in NO_NEW_PRIVILEGES:
        yield "", ""


def keeps_capabilities(value: Any, _: Subject) -> Hits:
    """A list without ALL, however it is written."""
    if not any(str(item).upper() == "ALL" for _place, item in items(value)):
        yield "", ""


def memory_of(value: object) -> float | None:
    """Bytes of a memory limit of Compose; None for what is no limit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _BYTES.fullmatch(str(value).strip())
    amount = float(found[1]) * _UNITS[found[2].lower()] if found else 0.0
    return amount if 0 < amount <= MAX_MEMORY else None


def count_of(maximum: float) -> Callable[[object], float | None]:
    """Reads a number above zero and below `maximum`; None for what is no limit."""

    def read(value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        found = _NUMBER.fullmatch(str(value).strip())
        amount = float(found[0]) if found else 0.0
        return amount if 0 < amount < maximum else None

    return read


_LIMITS: Final[dict[str, tuple[tuple[str, ...], Callable[[object], float | None]]]] = {
    "memory": (("deploy.resources.limits.memory", "mem_limit"), memory_of),
    "pids": (("deploy.resources.limits.pids", "pids_limit"), count_of(MAX_PIDS)),
    "cpus": (("deploy.resources.limits.cpus", "cpus"), count_of(2**16)),
}
"""Where the limit of a resource may stand, in the present and the older spelling, and what reads it."""


def unset(*resources: str) -> Check:
    """A service without a limit of these resources."""

    def check(value: Any, _: Subject) -> Hits:
        for resource in resources:
            fields, _read = _LIMITS[resource]
            if all(at(value, field) in (None, "") for field in fields):
                yield f".{fields[0]}", ""

    return check


def endless(*resources: str) -> Check:
    """A limit of these resources that is none: zero, below zero, beyond the machine, or not readable."""

    def check(value: Any, _: Subject) -> Hits:
        for resource in resources:
            fields, read = _LIMITS[resource]
            for field in fields:
                limit = at(value, field)
                if limit not in (None, "") and read(limit) is None:
                    yield f".{field}", limit

    return check


def endless_swap(value: Any, _: Subject) -> Hits:
    """Unlimited swap, which defeats a memory limit; 0 is the engine's default."""
    if value not in (None, "", "0", 0) and memory_of(value) is None:
        yield "", value
