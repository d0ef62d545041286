"""docs/reliability.md: the text of the template, with the figures of a run in it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from tests.chaos.fault import Fault
from tests.chaos.unforeseen import Unforeseen
from tests.e2e.crash_points import KINDS, CrashPoint
from tests.e2e.mortal import When
from tests.e2e.outcome import Outcome

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
TEMPLATE: Final = Path(__file__).with_name("reliability.md.j2")


def render(
    survived: Sequence[Outcome], faults: Sequence[Fault], outcomes: Sequence[Outcome], unforeseen: Unforeseen
) -> str:
    """The page. Raises KeyError when a crash point or the outcome of a fault is missing."""
    of = {each.harm: each for each in (*survived, *outcomes)}
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        survived=survived,
        crashes=[(kind, *(of[str(CrashPoint(when, kind))] for when in When)) for kind in KINDS],
        faults=[(fault, of[fault.name]) for fault in faults],
        outcomes=outcomes,
        unforeseen=unforeseen,
        seconds=lambda each: f"{each.seconds:.1f}" if isfinite(each.seconds) else "never",
        lost=lambda each: f"{each.failed:,} of {each.requests:,}",
        lasting=lambda fault: f", {fault.lasts:.0f} s" if fault.lasts else "",
    )
