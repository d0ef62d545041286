"""The managers of a simulated Swarm: which one leads, what it reaches, and what becomes of reads and writes meanwhile.

As in SwarmKit: a request goes to the leader, from whichever manager it comes. A leader that is cut off from the majority
goes on for 10 to 20 s, as long as it takes until it misses the others: it answers reads by what it knew, and keeps writes
waiting. The others elect another one after about as long, and then those writes never happen. If they are reached again
before that, the writes happen late. Where there is no leader, every request ends with an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

from reconciler.engines.errors import EngineError
from tests.simulation.turns import Turns

__all__ = ["LOST_SECONDS", "Configs", "Managers"]

LOST_SECONDS: Final = (10.0, 20.0)
"""How long a leader and its followers take to miss each other."""
NO_LEADER: Final = "The swarm does not have a leader. It's possible that too few managers are online."
LATE: Final = "the engine does not answer in time"

Answer = TypeVar("Answer")


@dataclass
class _Waiting:
    """A write of a leader that has no majority; `is_over` once it has happened, or never will."""

    happens: Callable[[], Any]
    is_over: bool = False
    answer: Any = None
    error: EngineError | None = None


@dataclass
class _Former:
    """A leader that does not know yet that it is none: what it knew, and until when it believes so."""

    node: str
    until: float
    knew: Any
    waiting: list[_Waiting] = field(default_factory=list)


class Managers:
    """Three of them, and perhaps other nodes. `knows` gives what a leader knows now, `changed` is told whenever another one
    leads, or other nodes reach each other.
    """

    def __init__(
        self,
        turns: Turns,
        chance: Random,
        nodes: Sequence[str],
        knows: Callable[[], Any],
        changed: Callable[[], None],
    ) -> None:
        self.nodes = tuple(nodes)
        self.managers: Final = self.nodes[:3]
        self.sides: dict[str, int] = dict.fromkeys(self.nodes, 0)
        self.down: set[str] = set()
        self.leader = chance.choice(self.managers)
        self._turns, self._chance = turns, chance
        self._knows, self._changed = knows, changed
        self._former: _Former | None = None
        self._electing = 0

    # Which nodes reach each other

    def reach(self, one: str, other: str) -> bool:
        """Whether they reach each other."""
        return self.sides[one] == self.sides[other] and not {one, other} & self.down

    def is_led_from(self, node: str) -> bool:
        """Whether the leader of the majority reaches this node."""
        return bool(self.leader) and self.reach(self.leader, node)

    def cut(self, sides: Mapping[str, int], down: set[str] | None = None) -> None:
        """From now on, nodes reach only those of their side, and none that is down."""
        self.sides = dict(sides)
        self.down = set(down or ())
        self._look()
        self._changed()

    def _has_majority(self, node: str) -> bool:
        return sum(self.reach(node, each) for each in self.managers) * 2 > len(self.managers)

    def _look(self) -> None:
        if self.leader and not self._has_majority(self.leader):
            led, self.leader = self.leader, ""
            if led not in self.down:
                until = self._turns.now + self._chance.uniform(*LOST_SECONDS)
                self._former = _Former(led, until, self._knows())
        former = self._believing()
        if former and not self.leader and self._has_majority(former.node):
            # Nothing was missed yet: it leads on, and what waits happens now.
            self.leader, self._former = former.node, None
            self._end(former, happens=True)
        elif former and (self.leader and self.reach(self.leader, former.node)):
            self._former = None
            self._end(former, happens=False)
        if not self.leader:
            self._electing += 1
            number, wait = self._electing, self._chance.uniform(*LOST_SECONDS)
            self._turns.begin(lambda: self._elect(number, wait))

    def _believing(self) -> _Former | None:
        former = self._former
        if former and (former.node in self.down or former.until <= self._turns.now):
            self._former = None
            self._end(former, happens=False)
        return self._former

    def _end(self, former: _Former, *, happens: bool) -> None:
        for each in former.waiting:
            each.is_over = True
            try:
                if happens:
                    each.answer = each.happens()
                else:
                    each.error = EngineError("node lost leader status")
            except EngineError as error:
                each.error = error

    def _elect(self, number: int, wait: float) -> None:
        self._turns.sleep(wait)
        if number != self._electing or self.leader:
            return
        able = [each for each in self.managers if each not in self.down and self._has_majority(each)]
        if able:
            self.leader = self._chance.choice(able)
            self._look()
            self._changed()

    # Requests

    def read(
        self, node: str, seconds: float, now: Callable[[], Answer], then: Callable[[Any], Answer]
    ) -> Answer:
        """What `node` is answered within `seconds`: by `now`, or by what a leader knew that is none any more. Raises
        EngineError.
        """
        if self.is_led_from(node):
            return now()
        if (former := self._believing()) and self.reach(former.node, node):
            return then(former.knew)
        raise self._without_leader(seconds)

    def write(self, node: str, seconds: float, happens: Callable[[], Answer]) -> Answer:
        """Have something happen for a request of `node`, and give its answer. Raises EngineError, after which it may happen
        still.
        """
        if self.is_led_from(node):
            return happens()
        if not (former := self._believing()) or not self.reach(former.node, node):
            raise self._without_leader(seconds)
        waiting = _Waiting(happens)
        former.waiting.append(waiting)
        end = self._turns.now + seconds
        while not waiting.is_over and self._turns.now < end:
            self._turns.sleep(min(0.5, end - self._turns.now))
            self._believing()
        if not waiting.is_over:
            raise EngineError(LATE)
        if waiting.error:
            raise waiting.error
        answer: Answer = waiting.answer
        return answer

    def _without_leader(self, seconds: float) -> EngineError:
        # A manager waits for a leader before it says that there is none.
        self._turns.sleep(self._chance.choice([0.05, min(seconds, 4.0)]))
        return EngineError(NO_LEADER)


class Configs:
    """The configs of a Swarm, as its API has them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._index = 0

    def copy(self) -> Mapping[str, Any]:
        """As they are now."""
        return deepcopy(self.rows)

    def create(self, spec: Mapping[str, Any]) -> None:
        """`POST /configs/create`. Raises EngineError."""
        if spec["Name"] in self.rows:
            raise _refusal(409, f"config {spec['Name']} already exists")
        self._write(spec)

    def update(self, name: str, version: int, spec: Mapping[str, Any]) -> None:
        """`POST /configs/NAME/update?version=VERSION`. Raises EngineError."""
        if name not in self.rows:
            raise _refusal(404, f"config {name} not found")
        if self.rows[name]["Version"]["Index"] != version:
            raise _refusal(500, "rpc error: code = Unknown desc = update out of sequence")
        self._write(spec)

    def _write(self, spec: Mapping[str, Any]) -> None:
        self._index += 1
        self.rows[spec["Name"]] = {"Version": {"Index": self._index}, "Spec": deepcopy(dict(spec))}


class _CauseError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status_code = status


def _refusal(status: int, text: str) -> EngineError:
    error = EngineError(text)
    error.__cause__ = _CauseError(status)
    return error
