"""docs/reliability.md: the text of the template, with the figures of runs in it. `python -m tests.chaos.page` writes it."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from tests.chaos.faults import FAULTS
from tests.chaos.figures import Figures
from tests.chaos.machines import CHANGES, MACHINE_FAULTS
from tests.e2e.crash_points import KINDS, POINTS, CrashPoint
from tests.e2e.mortal import When

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
TEMPLATE: Final = Path(__file__).with_name("reliability.md.j2")
NAMES: Final = (
    *map(str, POINTS),
    *(fault.name for fault in FAULTS),
    *(fault.name for fault in MACHINE_FAULTS),
    *(change.name for change in CHANGES.values()),
)
"""Every harm that has a row, in the order of the page."""


def render(figures: Figures) -> str:
    """The page. Raises KeyError when the outcome of a crash point or of a fault of one machine is missing. Those of several
    take minutes each, and may be tried one after the other.
    """
    of = figures.outcomes
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        survived=POINTS,
        crashes=[(kind, *(of[str(CrashPoint(when, kind))] for when in When)) for kind in KINDS],
        faults=[(fault, of[fault.name]) for fault in FAULTS],
        machines=[(fault, of.get(fault.name)) for fault in MACHINE_FAULTS],
        changes=[(name, of.get(change.name)) for name, change in CHANGES.items()],
        unforeseen=figures.unforeseen,
        seconds=lambda each: f"{each.seconds:.1f}" if isfinite(each.seconds) else "never",
        last=lambda each: f"{each.last:.1f}" if each.failed else "",
        lost=lambda each: f"{each.failed:,} of {each.requests:,}",
        lasting=lambda fault: f", {fault.lasts:.0f} s" if fault.lasts else "",
    )


if __name__ == "__main__":
    PAGE.write_text(render(Figures.read()), encoding="utf-8")
