"""What must hold of the lease, judged from what truly happened: never do two controllers act at the same moment.

A holder acts for 10 s after the beginning of its last write that happened, and what it has begun takes effect within 15 s
of that, by the clock of its machine. Another one takes the lease when it was given back, or 15 s after that write.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

from reconciler.controller.loop.election import ACT_SECONDS, LEASE_SECONDS
from reconciler.engines.swarm.lease import HOLDER, NAME
from reconciler.engines.swarm.marks import TERM
from tests.simulation.managers import Configs
from tests.simulation.parts import Part
from tests.simulation.story import Violation
from tests.simulation.turns import Turns

__all__ = ["LeaseJudge"]

TICK: Final = 1e-6
MAY_ACT: Final = ACT_SECONDS
MAY_LAST: Final = LEASE_SECONDS
"""As these were when this was imported: a mutation changes what the code does, and not what is promised."""


class LeaseJudge:
    """Looks at each write of the lease, and at each request that takes effect. `highest` is the latest term of the lease,
    `obeyed` the latest one that the agent has obeyed.
    """

    def __init__(self, turns: Turns, parts: Sequence[Part], configs: Configs) -> None:
        self._turns, self._parts, self._configs = turns, parts, configs
        self._written_at = -inf
        self.highest = self.obeyed = 0

    @property
    def holder(self) -> str:
        """The controller that the lease names; empty for none."""
        row = self._configs.rows.get(NAME)
        return str(row["Spec"]["Labels"][HOLDER]) if row else ""

    def written(self, part: Part, begun: float, before: str) -> None:
        """A config was written by a request that was `begun` then; `before` had the lease."""
        row, since = self._configs.rows.get(NAME), self._turns.now - self._written_at
        if row is None:
            return
        self.highest = max(self.highest, int(row["Spec"]["Labels"][TERM]))
        self._written_at = self._turns.now
        if self.holder != part.identity:
            return
        part.begun = begun
        if before not in ("", part.identity) and since < MAY_LAST - TICK:
            raise Violation(
                f"the controller on {part.node} takes the lease {since:.2f} s after its holder wrote it"
            )

    def one_acts(self) -> None:
        """At any moment."""
        acting = [part for part in self._parts if part.acts]
        for part in acting:
            if (since := self._since(part)) > MAY_ACT + TICK:
                raise Violation(
                    f"the controller on {part.node} acts {since:.2f} s after it began to write the lease"
                )
        if len(acting) > 1:
            names = " and ".join(part.node for part in acting)
            raise Violation(f"controllers on {names} act at the same time")

    def takes_effect(self, part: Part, term: int, call: str, *, is_ordered: bool) -> None:
        """A request that changes something, which was sent in this term. Where it `is_ordered` with the writes of the
        lease, as all writes of a Swarm are, only their order counts: its leader may have to wait for the others.
        """
        self.one_acts()
        if (since := self._since(part)) > MAY_LAST + TICK and not is_ordered:
            raise Violation(
                f"{call} of the controller on {part.node} takes effect {since:.2f} s after it began to write the lease"
            )
        if term < self.highest:
            raise Violation(
                f"{call} of the controller on {part.node} (term {term}) takes effect when the lease has term {self.highest}"
            )

    def obeys(self, part: Part, term: int) -> None:
        """The agent has admitted a request of this term."""
        before, self.obeyed = self.obeyed, max(self.obeyed, term)
        if term < before:
            raise Violation(
                f"an agent obeys the controller on {part.node} (term {term}), and has seen term {before}"
            )

    def _since(self, part: Part) -> float:
        """Seconds of its own clock since the beginning of its last write that happened."""
        return (self._turns.now - part.begun) * part.rate
