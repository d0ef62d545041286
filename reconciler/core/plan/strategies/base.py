"""A strategy is a pure function of one assessment that decides how far replicas may change now.

It returns a value and has no side effects. The arithmetic that carries it out (rollout.py, leaving.py) is the same for
all strategies, so none of them can stop a container before its sessions have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.core.assess.assessment import Assessment


@dataclass(frozen=True, slots=True)
class Gates:
    """Operations that have to wait although the budget allows them; open unless a strategy closes a gate.

    `create`: new replicas may be created. `turns`: one replica serves at a time, and the next one joins the pool when its
    turn comes. `kept_out`: names of ready replicas that do not join the pool yet. `kept_on`: names of outdated replicas
    that stay for now, beside new ones up to the surge; they leave for any other reason.
    """

    create: bool = True
    turns: bool = False
    kept_out: frozenset[str] = frozenset()
    kept_on: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a strategy allows in this pass.

    `floor`: the fewest replicas that may be left taking traffic. `surge`: containers above the desired number. `enough`:
    how many have to serve before what needs the web service may rely on it. `holds`: the pool is emptied on purpose, and
    the proxy holds the requests meanwhile. `weights`: a server's share of new requests, by its name, where it is not the
    default; one with 0 gets none and does not count for the floor. `wait`: seconds until it decides something else although
    nothing has happened, None if that cannot be.
    """

    floor: int
    surge: int
    enough: int
    holds: bool = False
    weights: Mapping[str, int] = field(default_factory=dict)
    gates: Gates = Gates()
    wait: float | None = None


Strategy = Callable[[Assessment], Decision]
