"""Histories of a Swarm whose network is cut: a side with the majority of managers and one without, or none that has it.

Two controllers run on two of the managers, and one of them holds the lease. Pass, election, lease and the agent's terms are
the real code; each controller has its own clocks. Of each request that changes something the controller and its term are
noted: none may take effect after another controller has taken the lease.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from math import inf
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from reconciler import files
from reconciler.controller.loop import election, workers
from reconciler.controller.reconcile.result import Result
from reconciler.core.desired.stack import Role
from reconciler.engines.memory.machine import MemoryContainer
from reconciler.proxy.remote import nodes
from tests.simulation.nodes import OnNodes
from tests.simulation.services import NAME, SLOW, other_wish
from tests.simulation.simulation import Figures, _seen_by, run
from tests.simulation.story import Violation
from tests.simulation.wires import Wired

REST_SECONDS: Final = 1.0
"""Between two looks at what requests come, and what is due on the machines."""
TURNS: Final = 400
"""Half seconds within which the controller that acts makes its next pass."""
SETTLED_SECONDS: Final = 60.0
"""After a cut has healed, one controller acts within so long: there is a leader after 20 s, and the lease ends after 16."""


class Quorum(Wired):
    """The world of one seed. `cuts` counts how often the network was cut; `left` are the processes that the Swarm calls
    ended, and that go on where it cannot reach them: what they are of, their role and node.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.cuts = 0
        self.left: list[tuple[str, Role, str]] = []
        self._away: set[str] = set()
        self.machine.left = self._left_behind
        if self._chance.random() < 0.2:
            # A job that is under way when its node is cut off.
            self.wish = replace(self.wish, plugin="stateful", job=SLOW)

    # What is where

    def changed(self) -> None:
        """See Wired.changed: the leader calls what it does not reach down, and starts it elsewhere after a while."""
        nodes, leader = self.engine.nodes, self.managers.leader
        was_led, nodes.is_led = nodes.is_led, bool(leader)
        self.story.tell("swarm", f"is led by {leader}" if leader else "has no leader")
        for node in self.managers.nodes:
            if leader and self.managers.reach(leader, node):
                if node in self._away:
                    self._away.discard(node)
                    nodes.find(node)
                    self.left = [each for each in self.left if each[2] != node]
            elif leader and (node not in self._away or not was_led):
                # Another leader waits for it anew.
                self._away.add(node)
                nodes.lose(node)
        if not leader:
            for container in self.machine.containers.values():
                # It is moved when there is one again.
                container.moves = inf if container.is_lost else container.moves
        for container in self.machine.containers.values():
            self._cut_off(container)
        self.machine.changes += 1
        for part in self.parts:
            if part.node in self.managers.down:
                self._kill(part, 5.0)

    def _cut_off(self, container: MemoryContainer) -> None:
        is_cut = bool(container.node) and not self.reaches_front(container.node)
        if container.is_cut and not is_cut:
            container.well_since = self._time
        container.is_cut = is_cut

    def _left_behind(self, container: MemoryContainer) -> None:
        if container.node and container.node not in self.managers.down:
            self.left.append((container.workload, container.role, container.node))

    def starts(self, name: str, arguments: Sequence[Any]) -> None:
        """A job is started only when no other run of it goes on, of any revision, reached or not."""
        for id in arguments[0] if name == "start" else ():
            started = self.machine.containers.get(id)
            if started is None or started.role is not Role.JOB or started.is_up:
                continue
            others = [
                c.name for c in self.machine.of(started.project) if c.workload == started.workload and c.is_up
            ]
            left = [where for what, _, where in self.left if what == started.workload]
            if others or left:
                raise Violation(
                    f"{started.name} is started, and goes on elsewhere: {', '.join([*others, *left])}"
                )

    # What happens

    def _world_goes_on(self) -> None:
        while True:
            self.turns.sleep(min(REST_SECONDS, max(0.05, self.machine.next_change - self._time)))
            before = self.machine.changes
            self._requests_come()
            self.machine.settle()
            if self.machine.changes == before and self.machine.next_change <= self._time:
                self._event(NAME)
            for part in self.parts:
                if not part.is_running and part.starts <= self._time and part.node not in self.managers.down:
                    self._start(part)

    def _something_breaks(self) -> None:
        if self._chance.random() < 0.3:
            self._node_breaks()
        else:
            super(OnNodes, self)._something_breaks()

    def _breakable(self) -> list[MemoryContainer]:
        """A person who has Swarm end what it cannot reach takes it on herself that it goes on."""
        return [each for each in super()._breakable() if not each.is_lost]

    def _node_breaks(self) -> None:
        chance, nodes = self._chance, self.engine.nodes
        node = chance.choice(nodes.all())
        part = chance.choice(self.parts)
        things = ["fails", "end", "kill", "cordon", "uncordon", "drain"]
        often = ["cut", "cut", "heal", "stop", "suspend", "unheard", "clock"]
        match chance.choice([*things, *often, *often]):
            case "cut":
                self._cut()
            case "heal":
                self._heal()
            case "fails" if len(self.managers.down) < 1:
                self._tell_of(node, "fails")
                self.managers.cut(self.managers.sides, {*self.managers.down, node.name})
            case "stop":
                self._stop(part, self._some_seconds())
            case "suspend":
                seconds = self._some_seconds()
                self._stop(part, seconds)
                part.slept += seconds * part.rate
            case "unheard":
                seconds = self._some_seconds()
                self.story.tell("world", f"what {part.node} asks of the lease is lost for {seconds:.1f} s")
                part.unheard_until = self._time + seconds
                self._want_another()
            case "end":
                self._end(part)
            case "kill":
                self._kill(part)
            case "clock":
                part.jumped += chance.choice([-3600.0, -20.0, -8.0, 8.0, 3600.0])
                self.story.tell("world", f"the wall clock of {part.node} is set")
            case command:
                self._commanded(command, node)
        self._due = min(self._due, self._time)

    def _cut(self) -> None:
        """Cut the network in some way that has a point: around a controller, the leader, HAProxy, a job, or anywhere."""
        chance, nodes = self._chance, list(self.managers.nodes)
        jobs = [c.node for c in self.machine.containers.values() if c.role is Role.JOB and c.is_up and c.node]
        holder = next((part.node for part in self.parts if part.acts), nodes[0])
        match chance.choice(["holder", "holder", "leader", "front", "some", "all", *["job"] * 6 * len(jobs)]):
            case "holder":
                sides = {node: int(node == holder) for node in nodes}
            case "leader":
                sides = {node: int(node == (self.managers.leader or nodes[0])) for node in nodes}
            case "front":
                sides = {node: int(node in (holder, self.engine.nodes.front)) for node in nodes}
            case "job":
                sides = {node: int(node in jobs) for node in nodes}
            case "some":
                sides = {node: chance.randint(0, 1) for node in nodes}
            case _:
                sides = {node: at for at, node in enumerate(nodes)}
        self.cuts += 1
        parts = [",".join(n for n in nodes if sides[n] == side) for side in sorted(set(sides.values()))]
        self.story.tell("world", f"the network is cut: {' | '.join(parts)}")
        self.managers.cut(sides, self.managers.down)
        if chance.random() < 0.7:
            self._want_another()

    def _want_another(self) -> None:
        """Give the holder something to do, often on the node of HAProxy, while it cannot renew the lease."""
        other = other_wish(self.wish, self._chance, self.now())
        images = {"haproxy:3.0", "haproxy:3.1"} - {self.wish.proxy_image}
        moved = replace(self.wish, proxy_image=min(images))
        self._ask_for(self._chance.choice([other, moved]))

    def _heal(self) -> None:
        self.story.tell("world", "all nodes reach each other")
        self.managers.cut(dict.fromkeys(self.managers.nodes, 0))

    # The history

    def run(self) -> Figures:
        """Live through it. Raises Violation."""
        with ExitStack() as stack:
            stack.enter_context(_seen_by(self))
            clocks = SimpleNamespace(
                clock_gettime=self._clock_gettime,
                CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
                time=lambda: self._clock_gettime(time.CLOCK_REALTIME),
                monotonic=lambda: self._clock_gettime(time.CLOCK_MONOTONIC),
            )
            stack.enter_context(patch.object(election, "time", clocks))
            stack.enter_context(patch.object(nodes, "time", clocks))
            stack.enter_context(patch.object(workers, "lease", nullcontext))
            stack.enter_context(patch.object(files, "replace", lambda *_, **__: None))
            stack.callback(self.turns.close)
            return self._live_through()

    def _live_through(self) -> Figures:
        self._ask_for(self.wish)
        for part in self.parts:
            self._start(part)
        self.turns.begin(self._world_goes_on)
        trouble = self.random.random() < 0.95
        if trouble and self.wish.job == SLOW:
            self._advance(10.0)
            self._cut()
        for _ in range(self.random.randint(4, 14)):
            self._faulty = trouble
            if trouble and self.random.random() < 0.5:
                self._something_happens()
            if trouble and self.random.random() < 0.5:
                self._node_breaks()
            self._advance(self.random.choice([0.1, 1.0, 3.0, 10.0, 20.0, 40.0]))
        self._calm()
        if self.random.random() < 0.3:
            self._a_bad_one()
        return Figures(self._passes, self._calls, self._faults, self._requests, self.cuts, self.taken)

    def _calm(self) -> None:
        self._faulty = False
        for part in self.parts:
            part.stopped_until = part.unheard_until = self._time
            part.starts = min(part.starts, self._time)
        self._heal()
        self._advance(SETTLED_SECONDS)
        self._one_holds()
        super()._calm()

    def _one_holds(self) -> None:
        acting = [part for part in self.parts if part.acts]
        if len(acting) != 1:
            raise Violation(f"{len(acting)} controllers act {SETTLED_SECONDS:.0f} s after all is well")
        for part in self.parts:
            if part is not acting[0] and part.election.holder != acting[0].node:
                raise Violation(f"the controller on {part.node} says {part.election.explanation!r}")

    def _pass(self) -> Result:
        """The next pass of the controller that acts."""
        part = self._now_at
        assert part is not None
        before = part.passes
        for _ in range(TURNS):
            if part.passes > before:
                return part.result
            self._advance(0.5)
        raise Violation(f"no pass in {TURNS / 2:.0f} s")

    def _next_pass(self, longest: float) -> Result:
        return self._pass()

    def _check_end(self) -> None:
        if self.left:
            raise Violation(f"{len(self.left)} processes go on that the Swarm calls ended")
        super()._check_end()


def live_through(seed: int) -> Quorum:
    """One history. Raises Violation with its story."""
    simulation = Quorum(seed)
    run(simulation, f"seed {seed}")
    return simulation
