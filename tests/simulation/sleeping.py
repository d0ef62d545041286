"""Histories of services that sleep: traffic has pauses, requests wait while nothing serves, and they wake what sleeps.

A service sleeps only after its time, and in a quiet world no request that wakes it waits for longer than it is held.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any, Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.history import History
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.plan.operations import DrainServer, Plan
from tests.simulation.services import NAME, build_stack
from tests.simulation.simulation import Figures, Simulation, _seen_by
from tests.simulation.story import Violation

AFTER: Final = 20.0
HOLD: Final = 60.0
TICK: Final = 1e-6
DROWSY: Final = 400
"""Passes without a request within which a service sleeps."""


class Sleepy(Simulation):
    """The world of one seed, whose service may sleep. `sleeps` and `wakes` count what came to pass in its quiet end."""

    def __init__(self, seed: int) -> None:
        self._quiet_until = 0.0
        self._busy = False
        self._waiting: list[float] = []
        self.sleeps = self.wakes = 0
        super().__init__(seed)

    def run(self) -> Figures:
        """Live through it, and let it sleep and wake twice at its end. Raises Violation."""
        figures = super().run()
        stack = self._stack
        if stack is None or stack.is_stopped or not self._is_good(stack):
            return figures
        with _seen_by(self):
            for _ in range(2):
                self._fall_asleep(stack)
                self._wake(stack)
        return figures

    def _is_good(self, stack: Stack) -> bool:
        newest = self.records.newest(NAME)
        return newest is not None and newest.result in ("Complete", "RolledBack")

    def _build(self, service: Any) -> Stack:
        if self._stack is None or self._spec is not service.spec:
            stack = build_stack(service)
            idle = None if stack.is_stopped else AFTER
            self._spec, self._stack = service.spec, replace(stack, idle=idle)
        return self._stack

    # Traffic

    def _calm(self) -> None:
        self._busy = True
        super()._calm()

    def _requests_come(self) -> None:
        stack = self._stack
        if stack is None or stack.is_stopped:
            self._let_go(stack)
            return
        self._serve_waiting(stack)
        if self._busy:
            self._request(stack, 0.01)
        elif self._time >= self._quiet_until:
            if self.random.random() < 0.2:
                self._quiet_until = self._time + self.random.choice([5.0, 30.0, 90.0])
            for _ in range(self.random.randint(0, 2)):
                self._request(stack, self.random.choice([0.01, 0.1, 1.0, 3.0, 45.0]))

    def _request(self, stack: Stack, seconds: float) -> None:
        if not self._is_served(stack, seconds) and self._ways_in(stack):
            self._waiting.append(self._time)
            self.proxy.activity.waits(stack.project)
            self._tell_that_one_waits()

    def _serve_waiting(self, stack: Stack) -> None:
        left = []
        for since in self._waiting:
            if self._is_served(stack, 0.01) or self._time - since > HOLD:
                self.proxy.activity.gave_up(stack.project)
            else:
                left.append(since)
        self._waiting = left
        if left:
            self._tell_that_one_waits()

    def _let_go(self, stack: Stack | None) -> None:
        """A stopped service answers at once."""
        for _ in self._waiting:
            self.proxy.activity.gave_up(stack.project if stack else "")
        self._waiting = []

    def _is_served(self, stack: Stack, seconds: float) -> bool:
        for container in self._ways_in(stack):
            if self.proxy.request(stack, container, seconds, self.random.choice):
                self._requests += 1
                return True
        return False

    def _ways_in(self, stack: Stack) -> list[str]:
        processes = self.proxy.processes(stack).values()
        return [each.container for each in processes if self.proxy.is_ready(each)]

    def _tell_that_one_waits(self) -> None:
        """HAProxy's event, which may be lost; it is repeated."""
        if not (self._faulty and self.random.random() < 0.2):
            self._due = min(self._due, self._time)

    # Promises

    def planned(self, assessment: Assessment, history: History, made: Plan) -> None:
        """A service falls asleep only after its time."""
        leaves = any(isinstance(o, DrainServer) and o.cause is Cause.IDLE for o in made.operations)
        if leaves:
            stack = assessment.stack
            idle = self._time - self.proxy.activity.last(stack.project)
            if idle < AFTER - TICK:
                raise Violation(f"falls asleep {idle:.2f} s after a request, {AFTER:.0f} s are promised")
            if open_ := self.proxy.activity.open(stack.project):
                raise Violation(f"falls asleep while {open_} requests are under way or wait")
        super().planned(assessment, history, made)

    def _fall_asleep(self, stack: Stack) -> None:
        self._busy, self._quiet_until = False, inf
        for _ in range(DROWSY):
            if self._next_pass(1.0).converged and not self._web():
                break
        else:
            raise Violation(f"does not sleep after {DROWSY} passes without a request")
        self.sleeps += 1
        for _ in range(self.random.choice([0, 2])):
            if did := self._next_pass(1.0).did:
                raise Violation(f"sleeps, and does this:\n{did}")
        up = {c.workload for c in self.machine.of(stack.project) if c.is_up}
        if lost := {w.name for w in stack.of(Role.DEPENDENCY)} - up:
            raise Violation(f"sleeps without {', '.join(sorted(lost))}")

    def _wake(self, stack: Stack) -> None:
        for _ in range(self.random.choice([1, 50])):
            self._request(stack, 0.01)
        if not self._waiting:
            raise Violation("a request is served although nothing runs")
        began, self._due = self._time, self._time
        while self._waiting:
            if self._time - began > HOLD - 5:
                raise Violation(f"{len(self._waiting)} requests wait for {self._time - began:.0f} s in vain")
            self._next_pass(0.1)
        self.wakes += 1

    def _web(self) -> list[str]:
        stack = self._stack
        assert stack is not None
        return [c.id for c in self.machine.of(stack.project) if c.role is Role.WEB]
