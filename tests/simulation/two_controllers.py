"""Two controllers on two nodes, as threads on the clock of a simulation; each has the clocks of its own machine.

Pass, workers and election are the real code. What each has to do with the Swarm, its nodes and HAProxy is in wires.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from metrics.recorder import Recorder
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.controller.loop import election
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.election import Election
from reconciler.controller.loop.workers import Reconciler
from reconciler.controller.reconcile import service as controller
from reconciler.controller.reconcile.result import Result
from reconciler.controller.report.journal import Journal
from reconciler.engines.swarm.lease import SwarmLease
from reconciler.proxy.remote.nodes import Nodes
from reconciler.proxy.silence import Silence
from tests.simulation.doors import Doors
from tests.simulation.judge import Judge
from tests.simulation.lease_judge import LeaseJudge
from tests.simulation.managers import Configs
from tests.simulation.nodes import NODES, OnNodes
from tests.simulation.parts import LoudWorkers, Part, Ticket
from tests.simulation.services import NAME
from tests.simulation.simulation import RESYNC, Crash, Faulty
from tests.simulation.stores import MemoryRecords
from tests.simulation.turns import Turn, Turns

_RECORDER: Final = Recorder()


class _Node:
    """Implements what SwarmLease needs of DockerApi: the configs of the Swarm, as the engine of one node answers."""

    def __init__(self, simulation: TwoControllers, part: Part) -> None:
        self._simulation, self._part = simulation, part

    def read(self, what: str, path: str, name: str, *, missing: Any) -> Any:
        """See DockerApi.read."""
        return self._simulation.ask_lease(self._part, lambda rows: rows.get(name, missing))

    def send(
        self,
        what: str,
        method: str,
        path: str,
        name: str = "",
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any],
    ) -> None:
        """See DockerApi.send."""
        configs = self._simulation.configs
        happens = (
            partial(configs.update, name, query["version"], body) if query else partial(configs.create, body)
        )
        self._simulation.tell_lease(self._part, happens)


class TwoControllers(OnNodes):
    """The world of one seed, on three or four nodes; the first three are managers. `taken` counts how often another
    controller took the lease.
    """

    def __init__(self, seed: int) -> None:
        self.turns = Turns()
        self.parts: list[Part] = []
        self.configs = Configs()
        self.taken = 0
        self._kept: tuple[str, MemoryRecords] | None = None
        self._asked: Part | None = None
        self.lease_judge = LeaseJudge(self.turns, self.parts, self.configs)
        super().__init__(seed)
        for name in NODES[:3]:
            if name not in {node.name for node in self.engine.nodes.all()}:
                self.engine.nodes.add(name)
        self.names: Final = [node.name for node in self.engine.nodes.all()]
        for node in self._chance.sample(self.names[:3], 2):
            self.parts.append(self._part(node))

    # What is asked of others: see wires.py

    def engine_call(
        self, part: Part, name: str, function: Callable[..., Any], *known: Any, **named: Any
    ) -> Any:
        """A call of the engine."""
        raise NotImplementedError

    def proxy_call(
        self, part: Part, name: str, function: Callable[..., Any], *known: Any, **named: Any
    ) -> Any:
        """A call of HAProxies."""
        raise NotImplementedError

    def ask_lease(self, part: Part, answer: Callable[[Mapping[str, Any]], Any]) -> Any:
        """A read of the configs. Raises EngineError."""
        raise NotImplementedError

    def tell_lease(self, part: Part, happens: Callable[[], None]) -> None:
        """A write of a config. Raises EngineError."""
        raise NotImplementedError

    def is_led_from(self, node: str) -> bool:
        """Whether a write from this node would happen."""
        raise NotImplementedError

    def _part(self, node: str) -> Part:
        chance = self._chance
        return Part(
            node,
            Judge(self.engine, Doors(self.proxy), self.random),
            Silence(self.clock),
            rate=chance.uniform(0.98, 1.02),
            offset=chance.uniform(0.0, 1e6),
        )

    # Simulation has one controller: here it is the one that is asked for, by the thread that asks

    @property
    def _time(self) -> float:
        return self.turns.now

    @_time.setter
    def _time(self, moment: float) -> None:
        if moment > self.turns.now:
            self.turns.sleep(moment - self.turns.now)

    @property
    def _due(self) -> float:
        return min((part.due for part in self.parts), default=0.0)

    @_due.setter
    def _due(self, moment: float) -> None:
        for part in self.parts:
            # One that stands by notices it too, and does nothing: it looks when the lease changes, and at each resync.
            if part.acts and moment < part.due:
                part.due = moment
                for turn in part.turns:
                    self.turns.wake(turn)

    @property
    def _now_at(self) -> Part | None:
        """The controller whose thread runs; else the one that acts, or any."""
        for part in self.parts:
            if any(turn == self.turns.current for turn in part.turns):
                return part
        acting = [part for part in self.parts if part.acts]
        return next(iter([*acting, *self.parts]), None)

    @property
    def records(self) -> MemoryRecords:
        return part.records if (part := self._now_at) else MemoryRecords()

    @records.setter
    def records(self, records: MemoryRecords) -> None:
        if part := self._now_at:
            part.records = records

    @property
    def judge(self) -> Judge:
        part = self._now_at
        assert part is not None
        return part.judge

    @judge.setter
    def judge(self, judge: Judge) -> None:
        """Each controller has its own."""

    def _begin_controller(self) -> None:
        if part := self._now_at:
            self._kill(part)

    # Clocks

    def _boot(self, part: Part) -> float:
        before, self._asked = self._asked, part
        try:
            return election.boot_clock()
        finally:
            self._asked = before

    def _monotonic(self, part: Part) -> float:
        before, self._asked = self._asked, part
        try:
            return self._clock_gettime(time.CLOCK_MONOTONIC)
        finally:
            self._asked = before

    def _clock_gettime(self, which: int) -> float:
        part = self._asked or self._now_at
        assert part is not None, "a clock is that of a machine"
        moment = self.turns.now * part.rate + part.offset
        match which:
            case time.CLOCK_BOOTTIME:
                return moment
            case time.CLOCK_MONOTONIC:
                return moment - part.slept
        return moment + part.jumped

    # A controller

    def _start(self, part: Part) -> None:
        """A new process, on the state directory of the one before."""
        part.is_running = True
        part.due, part.result = self._time, Result()
        record = SwarmLease(_Node(self, part))  # type: ignore[arg-type]
        part.election = Election(record, Ticket(part.node), partial(self._boot, part))
        part.election.gained = partial(self._take_over, part)
        part.election.changed = partial(self._lease_changed, part)
        part.silence = Silence(self.clock)
        part.lines = Nodes(lambda site, slot: None, left=part.election.require)
        seen = replace(
            self._new_world(),
            records=part.records,
            engine=Faulty(self.engine, partial(self.engine_call, part)),  # type: ignore[arg-type]
            proxy=Faulty(self.proxy, partial(self.proxy_call, part)),
            journal=Journal(part.records, _RECORDER),
            require=part.election.require,
        )
        reconciler = Reconciler(
            VAULT_SERVICE, self.objects, part.records, partial(controller.reconcile, world=seen)
        )
        part.workers = LoudWorkers(
            reconciler,
            Path("/state"),
            _RECORDER,
            Backoff(Random(self._chance.random())),
            partial(self._passed, part),
            self.now,
            seen.require,
            partial(self._keep, part),
        )
        part.turns = [
            self.turns.begin(partial(self._work, part)),
            self.turns.begin(partial(self._vote, part)),
        ]

    def _vote(self, part: Part) -> None:
        """What the election's thread does."""
        while True:
            self._let_run(part)
            wait = part.election.step()
            self.lease_judge.one_acts()
            self.turns.sleep(wait / part.rate)

    def _work(self, part: Part) -> None:
        """What a worker does."""
        while True:
            self.turns.rest_until(part.due)
            self._let_run(part)
            if part.due > self._time:
                continue
            part.due = self._time + RESYNC
            self._passes += 1
            part.is_busy = True
            try:
                delay = part.workers._pass(NAME)
            except Crash:
                part.is_busy = False
                self._kill(part)
                self.turns.sleep(1.0)
            part.is_busy = False
            if delay is not None:
                part.due = min(part.due, self._time + delay)

    def _let_run(self, part: Part) -> None:
        """Wait while the process, or its machine, is stopped."""
        while part.stopped_until > self._time:
            self.turns.sleep(part.stopped_until - self._time)

    def _passed(self, part: Part, ref: Ref, result: Result | None) -> None:
        part.result = result or Result()
        part.passes += 1

    def _lease_changed(self, part: Part, acts: bool, why: str) -> None:
        self.story.tell(part.node, why)
        part.due = self._time
        for turn in part.turns:
            self.turns.wake(turn)

    def _take_over(self, part: Part) -> None:
        """Go on with what the former holder has kept, as Keeping does."""
        self.turns.sleep(self._chance.choice([0.1, 0.1, 3.0]) if self._faulty else 0.1)
        if self._kept and self._kept[0] != part.node:
            self.taken += 1
            part.records.take(self._kept[1])

    def _keep(self, part: Part, ref: Ref) -> None:
        """Keep what other controllers go on with, as Keeping does."""
        if part.acts and self.is_led_from(part.node):
            self._kept = (part.node, part.records.copy())

    def _kill(self, part: Part, seconds: float | None = None) -> None:
        """End its process; after a while it is started again."""
        if not part.is_running:
            return
        part.is_running = False
        wait = self._chance.choice([0.5, 5.0, 40.0]) if seconds is None else seconds
        part.starts = self._time + wait
        self.story.tell("world", f"the controller on {part.node} ends, for {wait:.1f} s at least")
        part.is_busy = False
        turns, part.turns = part.turns, []
        if self.turns.current in turns:
            # One thread ends the others, and itself as soon as it waits.
            self.turns.begin(partial(self._end_all, turns))
        else:
            self._end_all(turns)

    def _end_all(self, turns: list[Turn]) -> None:
        for turn in turns:
            self.turns.end(turn)

    def _end(self, part: Part) -> None:
        """Have it end as it does on SIGTERM: between two passes, and the lease is given back."""
        if part.is_running and not part.is_busy and part.stopped_until <= self._time:
            self.story.tell("world", f"the controller on {part.node} is told to end")
            given = part.election
            self._kill(part)
            given.give_back()

    def _some_seconds(self) -> float:
        """Often about as many as a lease lasts, when two controllers may take it at the same time."""
        return self._chance.choice([self._chance.uniform(1.0, 60.0), self._chance.uniform(12.0, 20.0)])

    def _stop(self, part: Part, seconds: float) -> None:
        self.story.tell("world", f"the controller on {part.node} is stopped for {seconds:.1f} s")
        part.stopped_until = max(part.stopped_until, self._time + seconds)
