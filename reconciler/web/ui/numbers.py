"""The numbers of a service as people read them, and which of them have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.app.cluster.traffic import Numbers

if TYPE_CHECKING:
    from reconciler.core.traffic.hour import Span

__all__ = [
    "FEW_ERRORS",
    "Changes",
    "Texts",
    "memory",
    "milliseconds",
    "p95_of",
    "percent",
    "rate",
    "texts_of",
]

FEW_ERRORS: Final = 0.01
"""The share of failed requests from which a service is marked."""
P95: Final = 0.95
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Texts:
    """What is shown of one service; "" where it is not known."""

    rate: str = ""
    errors: str = ""
    p95: str = ""
    cpu: str = ""
    memory: str = ""
    fails: bool = False


def texts_of(numbers: Numbers) -> Texts:
    """The texts of the last minute."""
    last, load = numbers.last, numbers.load
    share = last.tally.error_share if last else None
    return Texts(
        rate=rate(last.rate) if last else "",
        errors=percent(share) if share is not None else "",
        p95=milliseconds(p95_of(last)) if last else "",
        cpu=f"{load.cpu:.2f}" if load else "",
        memory=memory(load.memory) if load else "",
        fails=share is not None and share >= FEW_ERRORS,
    )


def p95_of(span: Span) -> float | None:
    """Milliseconds within which 95 % of the answers began."""
    return span.tally.quantile(P95)


def rate(value: float) -> str:
    """Requests a second."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 0.05 or not value else "<0.1"


def percent(share: float) -> str:
    """A share as per cent; one that is not 0 never looks like it."""
    return "0 %" if not share else "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def milliseconds(value: float | None) -> str:
    """A time; nothing without one."""
    if value is None:
        return ""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def memory(size: float) -> str:
    """Bytes in the unit that makes them short."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}"


class Changes:
    """Tells which services look different after a look at them: others wake no open page. One thread uses it."""

    def __init__(self, touch: Callable[[str], None]) -> None:
        self._touch = touch
        self._shown: dict[str, object] = {}

    def saw(self, name: str, numbers: Numbers) -> None:
        """These are its numbers now."""
        # The curves of one that was asked anything move on each minute.
        is_drawn = any(each.tally.requests for each in numbers.minutes)
        now = (texts_of(numbers), numbers.minutes[-1].begin if is_drawn else None)
        if self._shown.get(name) != now:
            self._shown[name] = now
            self._touch(name)
