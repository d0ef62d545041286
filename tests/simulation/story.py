"""What happened in a simulated history, so that a failing seed can be read like a story."""

from __future__ import annotations

from collections.abc import Callable

Line = tuple[float, str, str]


class Violation(AssertionError):  # noqa: N818 - it is what was violated, in the words of the field
    """Something happened that must never happen."""


def violates(live_through: Callable[[int], object], seed: int) -> bool:
    """Whether something that must never happen happens in the history of a seed."""
    try:
        live_through(seed)
    except Violation:
        return True
    return False


class Story:
    """Who did what, when. Lines are made into text only for a reader; there are thousands of stories without one."""

    def __init__(self, seed: int, clock: Callable[[], float]) -> None:
        self.seed = seed
        self._clock = clock
        self._lines: list[tuple[float, str, object]] = []

    def tell(self, who: str, what: object) -> None:
        """Add a line."""
        self._lines.append((self._clock(), who, what))

    def __str__(self) -> str:
        lines = [f"history of seed {self.seed}:"]
        for moment, who, what in self._lines:
            first, *rest = str(what).splitlines() or [""]
            lines.append(f"  {moment:9.3f} s  {who:<10}  {first}")
            lines += [f"  {'':9}    {'':<10}  {line}" for line in rest]
        return "\n".join(lines)
