"""What two controllers ask of a Swarm, of HAProxy and of its node, and what becomes of that on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from reconciler.certificates.errors import PeerError
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.plan.operations import Plan
from reconciler.engines.compose.api import CALL_SECONDS
from reconciler.engines.errors import EngineError
from reconciler.engines.swarm import lease
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.proxy import CHANGE_SECONDS
from reconciler.web.agent import terms
from reconciler.web.agent.terms import Terms
from tests.simulation.managers import LATE, Managers
from tests.simulation.parts import Part, Request, Way
from tests.simulation.simulation import READS, Crash
from tests.simulation.story import Violation
from tests.simulation.two_controllers import TwoControllers

FRONT_ROLES: Final = (Role.GATEWAY, Role.PROXY)


class Wired(TwoControllers):
    """Adds the managers of the Swarm, and the agent beside HAProxy. `refused` counts what the agent has refused."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.refused = 0
        self.managers = Managers(self.turns, self._chance, self.names, self.known, self.changed)
        self.engine.nodes.front = self._chance.choice(self.names)
        self.machine.is_apart = lambda node: bool(node) and not self.reaches_front(node)
        with patch.object(terms, "_read", lambda path: 0):
            self.terms = Terms(Path("term"))

    # What is where

    def is_led_from(self, node: str) -> bool:
        """See TwoControllers.is_led_from."""
        return self.managers.is_led_from(node)

    def reaches_front(self, node: str) -> bool:
        """Whether the agent beside HAProxy is reached from this node."""
        return self.managers.reach(node, self.engine.nodes.front)

    def known(self) -> tuple[Mapping[str, Any], EngineObservation | None]:
        """What the leader knows now: the configs, and the instances."""
        return self.configs.copy(), self.engine.observe(self._stack) if self._stack else None

    def changed(self) -> None:
        """Another manager leads, or other nodes reach each other."""
        raise NotImplementedError

    def starts(self, name: str, arguments: Sequence[Any]) -> None:
        """This call is about to take effect. Raises Violation."""
        raise NotImplementedError

    # The lease

    def ask_lease(self, part: Part, answer: Callable[[Mapping[str, Any]], Any]) -> Any:
        """A read of the lease from this node."""
        self._lie_in_the_network(part, lease.CALL_SECONDS)
        return self.managers.read(
            part.node, lease.CALL_SECONDS, lambda: answer(self.configs.rows), lambda knew: answer(knew[0])
        )

    def tell_lease(self, part: Part, happens: Callable[[], None]) -> None:
        """A write of the lease from this node."""
        begun = self._time
        end = begun + lease.CALL_SECONDS
        self._lie_in_the_network(part, lease.CALL_SECONDS)

        def write() -> None:
            before = self.lease_judge.holder
            happens()
            self.lease_judge.written(part, begun, before)

        self.managers.write(part.node, max(0.0, end - self._time), write)
        if self._faulty and self._chance.random() < 0.1:
            # Its answer takes a while, or is lost.
            late = self._chance.uniform(0.0, 6.0)
            self.turns.sleep(min(late, max(0.0, end - self._time)))
            if self._time >= end:
                raise EngineError(LATE)

    def _lie_in_the_network(self, part: Part, longest: float) -> None:
        if part.unheard_until > self._time:
            self.turns.sleep(longest)
            raise EngineError(LATE)
        slow = self._faulty and self._chance.random() < 0.2
        self.turns.sleep(self._chance.uniform(0.0, longest) if slow else 0.005)

    # Calls

    def engine_call(
        self, part: Part, name: str, function: Callable[..., Any], *known: Any, **named: Any
    ) -> Any:
        """See TwoControllers.engine_call."""
        if name == "observe":
            return self._observe(part, function, *known)
        if name in READS or name == "pull":
            return self._guarded(lambda: self._read(part, name, lambda: function(*known, **named)))
        return self._guarded(lambda: self._change(part, name, function, *known, **named))

    def proxy_call(
        self, part: Part, name: str, function: Callable[..., Any], *known: Any, **named: Any
    ) -> Any:
        """See TwoControllers.proxy_call."""
        if name in READS:
            return self._guarded(
                lambda: self._read(part, name, lambda: self._by_agent(part, function, *known))
            )
        do = partial(self._do_at, part, name, function, *known, **named)
        return self._guarded(lambda: self._send(part, name, do, "haproxy"))

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """What was violated is told by this history, not by a controller that tries again."""
        try:
            return call()
        except Violation as violation:
            self.turns.fail(violation)
            raise

    def _read(self, part: Part, name: str, read: Callable[[], Any]) -> Any:
        self.turns.sleep(0.005)
        if self._faulty and self.random.random() < 0.01:
            self._fault(name, "fails")
        return read()

    def _observe(
        self, part: Part, function: Callable[..., EngineObservation], stack: Stack
    ) -> EngineObservation:
        self.turns.sleep(0.005)
        if self._faulty and self.random.random() < 0.01:
            self._fault("observe", "fails")
        return self.managers.read(
            part.node,
            CALL_SECONDS,
            lambda: function(stack),
            lambda knew: self._as_known(function(stack), knew[1]),
        )

    def _as_known(self, now: EngineObservation, knew: EngineObservation | None) -> EngineObservation:
        """What a leader without a majority says of instances; HAProxy's containers are those of nodes."""
        if knew is None:
            return now
        front = [each for each in now.containers if each.role in FRONT_ROLES]
        instances = [each for each in knew.containers if each.role not in FRONT_ROLES]
        return replace(now, containers=(*instances, *front))

    def _change(self, part: Part, name: str, function: Callable[..., Any], *known: Any, **named: Any) -> None:
        """A change by the engine, of instances and of HAProxy's containers: one request to each of them."""
        for arguments, at_agent in self._split(name, known):
            do = partial(self._do_at, part, name, function, *arguments, **named)
            self._send(part, name, do, "engine" if at_agent else "swarm")

    def _split(self, name: str, known: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], bool]]:
        match name:
            case "start" | "stop" | "remove":
                front = tuple(id for id in known[0] if self._is_front(id))
                others = tuple(id for id in known[0] if id not in front)
                yield from (((each, *known[1:]), each is front) for each in (front, others) if each)
            case "create":
                roles = {workload.name: workload.role for workload in known[0].workloads}
                front = tuple(each for each in known[1] if roles[each.workload] in FRONT_ROLES)
                others = tuple(each for each in known[1] if each not in front)
                yield from (((known[0], each), each is front) for each in (others, front) if each)
            case "connect" | "disconnect":
                yield known, self._is_front(known[1].container)
            case _:
                yield known, False

    def _is_front(self, container: str) -> bool:
        found = self.machine.containers.get(container)
        return found is not None and found.role in FRONT_ROLES

    def _send(self, part: Part, name: str, do: Callable[[Request], None], way: Way) -> None:
        """One request: how long it may last is asked when it is sent, as DockerApi and the lines to agents do."""
        self.turns.sleep(0.005)
        self._calls += 1
        random = self.random
        kind = ""
        # More where the lease cannot be renewed, so that it matters when a request takes effect.
        renews = self.is_led_from(part.node) and part.unheard_until < self._time
        if self._faulty and random.random() < (0.12 if renews else 0.5):
            self._faults += 1
            kinds = ["fails", "hangs", "answers too late", "is done twice", "is late", "is late", "is late"]
            kind = random.choice([*kinds, "stopped", "stopped", "crash before", "crash after", "world"])
        if kind == "stopped" and way != "engine":
            self._stop(part, self._some_seconds())
            self._let_run(part)
        self._show(part)
        request = Request(part.shown, self._time + self._limit(part, way), is_ordered=way == "swarm")
        match kind:
            case "stopped" if way == "engine":
                # In the instant before it is sent: only the agent can know that it comes too late.
                self._leads_to_engine(part)
                request = Request(part.shown, inf, is_late=True)
                self._stop(part, self._some_seconds())
                self._let_run(part)
            case "fails":
                self._fault(name, "fails")
            case "hangs":
                self.turns.sleep(request.until - self._time)
                self._fault(name, "hangs until its timeout, and nothing was done")
            case "is late":
                self.turns.sleep(
                    random.choice([random.random(), 0.99]) * max(0.0, request.until - self._time)
                )
            case "crash before":
                self.story.tell("fault", f"the controller on {part.node} is killed before {name}")
                raise Crash
            case "world":
                self._something_breaks()
        self._deliver(part, request, do, way)
        match kind:
            case "is done twice":
                self.story.tell("fault", f"{name} is done twice")
                try:
                    self._deliver(part, request, do, way)
                except (EngineError, ProxyError):
                    return
            case "answers too late":
                self.turns.sleep(request.until - self._time)
                self._fault(name, "was done, but the answer came too late")
            case "crash after":
                self.story.tell("fault", f"the controller on {part.node} is killed after {name}")
                raise Crash
        self._let_run(part)

    def _limit(self, part: Part, way: Way) -> float:
        """For how long a request may last, in seconds of the world."""
        match way:
            case "swarm":
                seconds = min(CALL_SECONDS, part.election.require())
            case "haproxy":
                now = self._monotonic(part)
                seconds = part.lines.change_until(now + CHANGE_SECONDS) - now
            case "engine":
                seconds = CALL_SECONDS
        return seconds / part.rate

    def _leads_to_engine(self, part: Part) -> None:
        """As Tunnel does."""
        if part.election.is_over:
            raise EngineError("the connection to the engine is ended")

    def _deliver(self, part: Part, request: Request, do: Callable[[Request], None], way: Way) -> None:
        left = request.until - self._time
        if left < 0:
            raise ProxyError(LATE) if way == "haproxy" else EngineError(LATE)
        if way == "swarm":
            try:
                self.managers.write(part.node, left, partial(do, request))
            except EngineError:
                request.is_given_up = True
                raise
            return
        if way == "engine" and not request.is_late:
            self._leads_to_engine(part)
        try:
            self._admit(part, request.term, left)
        except ProxyError as error:
            raise (EngineError(error.message) if way == "engine" else error) from error
        do(request)

    def _do_at(self, part: Part, name: str, function: Callable[..., Any], *known: Any, **named: Any) -> None:
        """It takes effect."""
        *arguments, request = known
        self.story.tell(part.node, f"{name} takes effect (term {request.term})")
        if not request.is_late:
            self.lease_judge.takes_effect(part, request.term, name, is_ordered=request.is_ordered)
        self.starts(name, arguments)
        with self._as_seen_from(part):
            if request.is_given_up or request.is_late:
                # What its plan knew is forgotten.
                function(*arguments, **named)
                return
            part.judge.before(name, tuple(arguments), named)
            try:
                function(*arguments, **named)
            finally:
                part.judge.after(name)

    def _by_agent(self, part: Part, function: Callable[..., Any], *known: Any) -> Any:
        """What HAProxies say: nothing, if their agent is not reached, or does not obey."""
        self._show(part)
        with suppress(ProxyError):
            self._admit(part, part.shown, 0.0)
        with self._as_seen_from(part):
            return function(*known)

    def _show(self, part: Part) -> None:
        """As AgentLines does: a controller that does not act shows what it has shown before."""
        part.shown = part.election.term or part.shown

    def _admit(self, part: Part, term: int, seconds: float) -> None:
        """Have the agent beside HAProxy take a request. Raises ProxyError."""
        if not self.reaches_front(part.node):
            self.turns.sleep(min(seconds, 3.0))
            raise ProxyError(f"the agent of {self.engine.nodes.front} does not answer")
        try:
            self.terms.admit(term)
        except PeerError as error:
            self.refused += 1
            raise ProxyError(error.message) from error
        self.lease_judge.obeys(part, term)

    @contextmanager
    def _as_seen_from(self, part: Part) -> Iterator[None]:
        """HAProxies whose agent this controller does not reach do not answer it."""
        silent = set()
        if not self.reaches_front(part.node) or part.shown < self.lease_judge.obeyed:
            silent = {c.id for c in self.machine.containers.values() if c.role in FRONT_ROLES}
        added = silent - self.proxy.mute
        before, self.proxy._silence = self.proxy._silence, part.silence
        self.proxy.mute |= added
        try:
            yield
        finally:
            self.proxy.mute -= added
            self.proxy._silence = before

    def planned(self, assessment: Assessment, history: History, made: Plan) -> None:
        """A pass has planned."""
        part = self._now_at
        assert part is not None
        try:
            with self._as_seen_from(part):
                super().planned(assessment, history, made)
        except Violation as violation:
            self.turns.fail(violation)
