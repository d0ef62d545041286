"""The figures of docs/reliability.md, one for each crash point and fault, from the run in which it was tried last.

They are kept beside the template, so that a part of the faults can be tried again without the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, Final

from tests.chaos.unforeseen import Unforeseen
from tests.e2e.outcome import Outcome

__all__ = ["FIGURES", "Figures"]

FIGURES: Final = Path(__file__).with_name("figures.json")


@dataclass(frozen=True)
class Figures:
    """What came of each crash point and fault, by its name, and of the random tests."""

    outcomes: dict[str, Outcome]
    unforeseen: Unforeseen

    @classmethod
    def read(cls, path: Path = FIGURES) -> Figures:
        """What is kept in a file."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            {each["harm"]: _outcome(each) for each in kept["outcomes"]}, Unforeseen(**kept["unforeseen"])
        )

    def write(self, path: Path = FIGURES) -> None:
        """Keep these in a file, a line for each."""
        lines = ",\n".join(json.dumps(_kept(each)) for each in self.outcomes.values())
        random = json.dumps(asdict(self.unforeseen))
        path.write_text(f'{{"outcomes": [\n{lines}\n],\n"unforeseen": {random}}}\n', encoding="utf-8")

    def newer(self, outcomes: Iterable[Outcome]) -> Figures:
        """These figures, with other outcomes in the place of those of the same harm."""
        return replace(self, outcomes=self.outcomes | {each.harm: each for each in outcomes})

    def only(self, names: Iterable[str]) -> Figures:
        """These figures in this order, without those of other names."""
        return replace(self, outcomes={name: self.outcomes[name] for name in names if name in self.outcomes})


def _kept(outcome: Outcome) -> dict[str, Any]:
    """What the page says of an outcome; what was not as promised is printed by the run."""
    seconds = round(outcome.seconds, 1) if isfinite(outcome.seconds) else None
    fields = asdict(outcome) | {"seconds": seconds, "last": round(outcome.last, 1)}
    del fields["broken"]
    return fields


def _outcome(kept: dict[str, Any]) -> Outcome:
    seconds = inf if kept["seconds"] is None else kept["seconds"]
    return Outcome(**kept | {"seconds": seconds, "broken": (), "left": tuple(kept["left"])})
