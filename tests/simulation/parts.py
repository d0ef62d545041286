"""The controllers of a simulated Swarm: each is a process on a node, with the clocks of that machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal

from reconciler.controller.loop.election import Election
from reconciler.controller.loop.workers import Workers
from reconciler.controller.reconcile.result import Result
from reconciler.proxy.remote.nodes import Nodes
from reconciler.proxy.silence import Silence
from tests.simulation.judge import Judge
from tests.simulation.stores import MemoryRecords
from tests.simulation.turns import Turn

__all__ = ["LoudWorkers", "Part", "Request", "Ticket", "Way"]

Way = Literal["swarm", "haproxy", "engine"]
"""What a request goes to: the Swarm, or by the agent beside HAProxy to that or to the engine of its node."""


class LoudWorkers(Workers):
    """Those of the loop, whose defects are not retried here."""

    def _after_error(self, name: str, error: Exception, outcome: str) -> float:
        if outcome == "panic":
            raise error
        return super()._after_error(name, error, outcome)


@dataclass
class Part:
    """One controller: its process, its node and its clocks.

    `records` are its history, `shown` is the term that it shows to agents, and `begun` the beginning of its last write of
    the lease that happened. `rate` and `offset` are those of its clock against that of the world, `jumped` is what was
    added to its wall clock, and `slept` for how long its machine was suspended. Until `unheard_until` what it asks of the
    lease is lost, and nothing else. All in seconds.
    """

    node: str
    judge: Judge
    silence: Silence
    rate: float
    offset: float
    records: MemoryRecords = field(default_factory=MemoryRecords)
    jumped: float = 0.0
    slept: float = 0.0
    shown: int = 0
    begun: float = -inf
    due: float = 0.0
    stopped_until: float = 0.0
    unheard_until: float = 0.0
    starts: float = 0.0
    is_running: bool = False
    is_busy: bool = False
    result: Result = field(default_factory=Result)
    passes: int = 0
    election: Election = None  # type: ignore[assignment]
    workers: Workers = None  # type: ignore[assignment]
    lines: Nodes = None  # type: ignore[assignment]
    turns: list[Turn] = field(default_factory=list)

    @property
    def acts(self) -> bool:
        """Whether it may begin an operation now, as it would say itself."""
        return self.is_running and self.election.acts

    @property
    def identity(self) -> str:
        """What the lease says of it."""
        return f"{self.node}/id"


@dataclass
class Request:
    """One that changes something: the term of its sender, and until when it is to be done. `is_given_up` by its sender;
    `is_late`: its sender was stopped in the instant before it. `is_ordered` with the writes of the lease, by the leader of
    the Swarm: it may take effect later than its sender may act, and not after another holder has the lease.
    """

    term: int
    until: float
    is_given_up: bool = False
    is_late: bool = False
    is_ordered: bool = False


@dataclass
class Ticket:
    """Implements Entry."""

    node: str

    def enter(self) -> tuple[str, str]:
        """See Entry.enter."""
        return f"{self.node}/id", self.node

    def leave(self) -> None:
        """See Entry.leave."""
