"""The ports of a service: in the container, and on the host.

A range is several ports. A reader gets one value for each of them, in whichever form they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MAX_PORT: Final = 65535
MAX_RANGE: Final = 1000
"""Ports of one range; a longer one is not read, since no web service listens on that many."""

NEVER_HTTP: Final = frozenset({
    20, 21, 22, 23, 25, 53, 69, 88, 110, 111, 123, 135, 137, 138, 139, 143, 161, 162, 389, 445, 465, 514, 543, 544, 548,
    554, 587, 636, 853, 873, 989, 990, 992, 993, 995, 1433, 1521, 1883, 2049, 3306, 3389, 3478, 4222, 5222, 5269, 5349,
    5432, 5672, 5900, 6379, 6667, 6697, 8883, 9418, 11211, 25565, 27017, 51820,
})  # fmt: skip
"""Ports that are registered for a protocol which HAProxy cannot serve as HTTP."""


@dataclass(frozen=True, slots=True)
class Port:
    """One port of the containers; `place` is the index of its entry (`[0]`)."""

    place: str
    target: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.target}/{self.protocol}"

    @property
    def may_be_http(self) -> bool:
        """Whether HAProxy could send requests there."""
        return self.protocol == "tcp" and self.target not in NEVER_HTTP


def read_ports(value: object) -> tuple[Port, ...]:
    """The ports of a service in either form; never raises, and leaves out invalid ports."""
    entries = value if isinstance(value, list | tuple) else []
    return tuple(port for at, entry in enumerate(entries) for port in _ports(f"[{at}]", entry))


def _ports(place: str, entry: object) -> Iterator[Port]:
    if isinstance(entry, Mapping):
        target, protocol = str(entry.get("target")), str(entry.get("protocol") or "tcp")
    else:
        text, _, protocol = str(entry).partition("/")
        target = text.rpartition(":")[2]
    first, dash, last = target.partition("-")
    if _is_port(first) and (not dash or _is_port(last)):
        numbers = range(int(first), int(last or first) + 1)
        for number in numbers[:MAX_RANGE]:
            yield Port(place, number, (protocol or "tcp").lower())


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= MAX_PORT
