"""One simulated history: a seed decides what users want, what breaks, and when; the controller is the real one.

Reconcile, planner and executor run as they are. Engine, proxies, clock and state directory are in memory, so that an
hour takes milliseconds and the same seed tells the same story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from random import Random
from typing import Any, Final

from metrics.recorder import Recorder
from reconciler.api.errors import TemporaryError, VaultError
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.reconcile import service as controller
from reconciler.controller.reconcile import world
from reconciler.controller.reconcile.result import Result
from reconciler.controller.report.board import Board
from reconciler.controller.report.journal import Journal
from reconciler.controller.report.recorded import spec_of
from reconciler.controller.report.stopwatch import Stopwatch
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.capabilities import USUAL, EngineCapabilities
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import Admin, State
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.names import VAULT_NET
from reconciler.core.plan import planner
from reconciler.core.plan.front import FrontDoor
from reconciler.core.plan.operations import Plan
from reconciler.engines.errors import EngineError
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Behaviour, Machine, MemoryContainer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.memory import MemoryFile, MemoryProxy, MemoryServer
from tests.simulation.doors import Doors
from tests.simulation.judge import Judge
from tests.simulation.services import (
    CRASHES,
    NAME,
    Wish,
    bad_one,
    behaviour,
    build_stack,
    first_wish,
    other_wish,
    settled,
)
from tests.simulation.stores import ORIGIN, MemoryObjects, MemoryRecords
from tests.simulation.story import Story, Violation

ON_HOST: Final = 8
"""In one of so many histories HAProxy opens the port of the host itself."""
BEGINNING: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
RESYNC: Final = 60.0
PATIENCE: Final = 1000
"""Passes within which everything has to be as the spec wants it once nothing breaks any more."""
TIMEOUT: Final = 60.0
NOTICED_BY_THEN: Final = 12.0
"""Seconds after which HAProxy has noticed whatever broke last, and what a hand has stopped has ended."""

READS: Final = frozenset({"observe", "logs", "closed", "look", "holders", "stack", "networks"})
"""Calls that change nothing."""

OF_PROXIES: Final = frozenset(
    {"configure", "reload", "withdraw", "look", "holders", "closed"}
    | {"write_routes", "name_slots", "change_routes", "drain_pool", "empty_pool"}
)
"""Calls of proxies, beside those of their servers."""

_RECORDER: Final = Recorder()


class Crash(BaseException):
    """The controller was killed; nothing may catch it."""


@dataclass(frozen=True)
class Figures:
    """What a history came to."""

    passes: int
    calls: int
    faults: int
    requests: int
    cuts: int = 0
    takeovers: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.passes + other.passes,
            self.calls + other.calls,
            self.faults + other.faults,
            self.requests + other.requests,
            self.cuts + other.cuts,
            self.takeovers + other.takeovers,
        )


class _SometimesBoard(Board):
    """Looks at every tenth pass: what Prometheus is shown takes longer than to plan, and changes nothing."""

    def __init__(self, random: Random) -> None:
        super().__init__(Stopwatch(_RECORDER), FRONT)
        self._random = random

    def saw(self, *seen: Any) -> None:
        if self._random.random() < 0.1:
            super().saw(*seen)


class Faulty:
    """An engine or a proxy whose calls go over a wire that may fail."""

    def __init__(self, target: object, call: Callable[..., Any]) -> None:
        self._target = target
        self._call = call
        # No call, and nothing that could fail.
        self.front = FRONT

    def __getattr__(self, name: str) -> Callable[..., Any]:
        wired = partial(self._call, name, getattr(self._target, name))
        # Found there from now on, without asking here.
        setattr(self, name, wired)
        return wired


class Simulation:
    """The world of one seed."""

    def __init__(self, seed: int, capabilities: EngineCapabilities = USUAL) -> None:
        self.random = Random(seed)
        # Of its own, so that it decides about nothing else.
        self._pods = Random(seed)
        self._time = 0.0
        self._offset = 0.0
        self._clock_was_set = False
        self.story = Story(seed, self.clock)
        self.machine = Machine(self.clock, self.now)
        self.engine = MemoryEngine(self.machine, behaviour, capabilities)
        self.proxy = MemoryProxy(self.machine, self.clock)
        self.objects = MemoryObjects()
        self.records = MemoryRecords()
        self.judge = Judge(self.engine, Doors(self.proxy), self.random)
        self.wish = first_wish(self.random)
        # Not by chance: the histories of all other seeds stay as they were.
        if seed % ON_HOST == ON_HOST - 1:
            self.wish = replace(self.wish, network="host")
        self._stack: Stack | None = None
        self._spec: object = None
        self._due = 0.0
        self._did = ""
        self._faulty = False
        self._plans = self._passes = self._calls = self._faults = self._requests = 0
        self._old_file: MemoryFile | None = None
        self.machine.subscribe(self._event)
        self._begin_controller()

    def clock(self) -> float:
        """Seconds that only grow."""
        return self._time

    def now(self) -> datetime:
        """What the wall says."""
        return BEGINNING + timedelta(seconds=self._time + self._offset)

    # The history

    def run(self) -> Figures:
        """Live through it. Raises Violation."""
        with _seen_by(self):
            self._ask_for(self.wish)
            trouble = self.random.random() < 0.9
            for _ in range(self.random.randint(4, 16)):
                self._faulty = trouble
                if trouble and self.random.random() < 0.5:
                    self._something_happens()
                for _ in range(self.random.choice([1, 1, 2, 4, 8])):
                    self._next_pass(self.random.choice([0.0, 0.1, 1.0, 5.0]))
            self._calm()
            if self.random.random() < 0.3:
                self._a_bad_one()
        return Figures(self._passes, self._calls, self._faults, self._requests)

    def _calm(self) -> None:
        """Nothing breaks any more; everything must come out right."""
        self._faulty = False
        self.engine.unpullable.clear()
        self.engine.foreign_ports.clear()
        self.proxy.mute.clear()
        self.proxy.slow.clear()
        # Nobody but its owner decides over data: an ill or frozen dependency is told of and left alone.
        for container in self.machine.containers.values():
            if container.role in (Role.DEPENDENCY, Role.JOB):
                self.machine.recover(container)
                if container.state is State.PAUSED:
                    self.machine.pause(container)
        self.story.tell("world", "is quiet from now on")
        wish = settled(self.wish, self.now())
        if self._was_good_and_dies():
            wish = replace(wish, restarted=wish.restarted + 1)
        self._ask_for(wish)
        self._advance(NOTICED_BY_THEN)
        self._converge()
        if not self._plans:
            raise Violation("the judge has seen no plan")
        self._advance(1.0)
        again = self._pass()
        if again.did:
            raise Violation(f"converged, and then did this:\n{again.did}")
        self._check_end()

    def _was_good_and_dies(self) -> bool:
        """Whether what a rollback leads to was complete once and never lasts. A rollback is not judged, so only its user
        can ask once more for what was given up, for example because its image was missing for a while.
        """
        newest, good = self.records.newest(NAME), self.records.last_good(NAME)
        is_rolled_back = newest is not None and newest.result == "RolledBack"
        return is_rolled_back and good is not None and spec_of(good).env["VERSION"] == CRASHES

    def _converge(self) -> None:
        for _ in range(PATIENCE):
            if self._next_pass(1.0).converged:
                return
        raise Violation(f"not converged after {PATIENCE} quiet passes")

    def _a_bad_one(self) -> None:
        """What never works is given up, whatever it is, and what was good before runs again."""
        good = self.records.last_good(NAME)
        bad = bad_one(self.wish, self.random)
        if good is None or self.records.newest(NAME) != good or not self.wish.replicas:
            return
        self._ask_for(bad)
        self._converge()
        newest = self.records.newest(NAME)
        if newest is None or newest.result != "RolledBack":
            raise Violation("what never works was not given up")
        if self._stack is None or self._stack.revision != good.revision:
            raise Violation("what runs after a rollback is not what was good before")
        self._check_end()

    # Passes

    def _next_pass(self, longest: float) -> Result:
        """Wait for the next pass, but not much longer than `longest` after it is due, and make it."""
        due = min(self._due, max(self.machine.next_change, self._time), self._time + RESYNC)
        late = self.random.uniform(0, longest)
        self._advance(max(0.0, due - self._time) + late)
        return self._pass()

    def _pass(self) -> Result:
        self._passes += 1
        self._due = inf
        result = Result()
        try:
            result = controller.reconcile(NAME, self._world)
        except VaultError as error:
            self.story.tell("controller", f"gives up for now: {error}")
            delay = error.delay if isinstance(error, TemporaryError) else None
            self._due = self._time + (self._backoff.next(NAME) if delay is None else delay)
        except Crash:
            self._begin_controller()
        else:
            if result.did and result.did == self._did:
                # As the manager does with a pass that goes in a circle.
                self._due = self._time + self._backoff.next(NAME)
                return result
            self._did = result.did
            self._backoff.forget(NAME)
            if result.requeue_after is not None:
                self._due = min(self._due, self._time + result.requeue_after)
        return result

    def _begin_controller(self) -> None:
        """A new process that remembers nothing."""
        self.machine.lose_grip()
        self._backoff = Backoff(Random(self.random.random()))
        self._world = self._new_world()
        self._due = self._time

    def _new_world(self) -> world.World:
        """What the passes of a new controller see and change."""
        return world.World(
            objects=self.objects,
            records=self.records,
            engine=Faulty(self.engine, self._call),  # type: ignore[arg-type]
            proxy=Faulty(self.proxy, self._call),
            build=self._build,
            rebuild=self._build,
            journal=Journal(self.records, _RECORDER),
            board=_SometimesBoard(self.random),
            now=self.now,
            clock=self.clock,
        )

    def _build(self, service: Any) -> Stack:
        # Most passes build what the last one did.
        if self._stack is None or self._spec is not service.spec:
            self._spec, self._stack = service.spec, build_stack(service)
        return self._stack

    def planned(self, assessment: Assessment, history: History, made: Plan) -> None:
        """A pass has planned."""
        self._plans += 1
        if made.operations or made.blocked:
            self.story.tell("plan", made)
        self.judge.planned(assessment, history, made)

    # Calls, and what may become of them

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._time += 0.005
        random = self.random
        if name in READS:
            if self._faulty and random.random() < 0.01:
                self._fault(name, "fails")
            return function(*arguments, **named)
        self._calls += 1
        if not self._faulty or random.random() > 0.12:
            return self._do(name, function, *arguments, **named)
        self._faults += 1
        match random.choice(
            [
                "fails",
                "hangs",
                "answers too late",
                "is done twice",
                "is late",
                "crash before",
                "crash after",
                "world",
            ]
        ):
            case "fails":
                self._fault(name, "fails")
            case "hangs":
                self._time += TIMEOUT
                self._fault(name, "hangs until its timeout, and nothing was done")
            case "answers too late":
                self._do(name, function, *arguments, **named)
                self._time += TIMEOUT
                self._fault(name, "was done, but the answer came too late")
            case "is done twice":
                self.story.tell("fault", f"{name} is done twice")
                self._do(name, function, *arguments, **named)
                with suppress(EngineError, ProxyError):
                    self._do(name, function, *arguments, **named)
            case "is late":
                self._advance(random.uniform(0, 20))
                self._do(name, function, *arguments, **named)
            case "crash before":
                self.story.tell("fault", f"the controller is killed before {name}")
                raise Crash
            case "crash after":
                self._do(name, function, *arguments, **named)
                self.story.tell("fault", f"the controller is killed after {name}")
                raise Crash
            case "world":
                self._something_breaks()
                self._do(name, function, *arguments, **named)
        return None

    def _do(self, name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        self.judge.before(name, arguments, named)
        try:
            function(*arguments, **named)
        finally:
            self.judge.after(name)

    def _fault(self, name: str, how: str) -> None:
        self.story.tell("fault", f"{name} {how}")
        error = ProxyError if name.endswith("_servers") or name in OF_PROXIES else EngineError
        raise error(f"{name} {how}")

    # Time, traffic and events

    def _advance(self, seconds: float) -> None:
        """Let time pass, in two steps with requests in between."""
        if seconds:
            self._time += seconds / 2
            self._requests_come()
            self._time += seconds / 2
        self.machine.settle()

    def _requests_come(self) -> None:
        if self._stack is None:
            return
        for process in list(self.proxy.processes(self._stack).values()):
            if not self.proxy.is_ready(process):
                continue
            for _ in range(self.random.randint(0, 2)):
                seconds = self.random.choice([0.01, 0.1, 1.0, 3.0, 45.0])
                if self.proxy.request(self._stack, process.container, seconds, self.random.choice):
                    self._requests += 1

    def _event(self, service: str) -> None:
        """Something happened to a container; the controller hears of it, unless the event is lost."""
        if not (self._faulty and self.random.random() < 0.2):
            self._due = min(self._due, self._time)

    # What happens

    def _ask_for(self, wish: Wish) -> None:
        self.wish = wish
        self.objects.apply(wish.service(), ORIGIN)
        self.story.tell("user", f"wants {wish}")
        self._due = self._time

    def _something_happens(self) -> None:
        if self.random.random() < 0.4:
            if self._stack is not None:
                self._old_file = self.proxy.files.get(self._stack.project)
            former = {workload.image for workload in self._stack.workloads} if self._stack else set()
            self._ask_for(other_wish(self.wish, self.random, self.now()))
            if self.random.random() < 0.5:
                self._not_pulled_yet(former)
            if self._pods.random() < 0.2:
                self._a_pod_is_deleted()
        else:
            self._something_breaks()

    def _a_pod_is_deleted(self) -> None:
        """A user asks for another replica in the place of this one, as `kubectl delete pod` does."""
        containers = self.machine.containers
        if replicas := sorted(key for key, each in containers.items() if each.role is Role.WEB):
            chosen = self._pods.choice(replicas)
            self.story.tell("user", f"deletes {containers[chosen].name}")
            self.objects.request_eviction(NAME, chosen, containers, self.now())
            self._due = self._time

    def _not_pulled_yet(self, former: set[str]) -> None:
        """The images that the new spec brings are not on the machine."""
        new = {workload.image for workload in build_stack(self.wish.service()).workloads} - former
        self.engine.missing_images |= new
        self.engine.pull_seconds = self.random.choice([0.0, 3.0, 20.0])
        if new and self.random.random() < 0.2:
            self.engine.unpullable |= new

    def _something_breaks(self) -> None:
        things = [
            self._container_breaks,
            self._container_breaks,
            self._container_breaks,
            self._proxy_breaks,
            self._machine_breaks,
        ]
        self.random.choice(things)()
        self.machine.settle()

    def _breakable(self) -> list[MemoryContainer]:
        """What may break, or be broken by a person."""
        return list(self.machine.containers.values())

    def _container_breaks(self) -> None:
        containers = self._breakable()
        if not containers:
            return
        container = self.random.choice(containers)
        match self.random.choice(
            ["crash", "kill", "stop", "remove", "ill", "flap", "detach", "reattach", "pause", "start"]
        ):
            case "crash":
                self._tell(container, "crashes")
                self.machine.kill(container, by_hand=False)
            case "kill":
                self._tell(container, "is killed by hand")
                self.machine.kill(container, by_hand=True)
            case "stop":
                self._tell(container, "is stopped by hand")
                self.machine.stop(container, 10.0)
                container.stopping = False
            case "remove":
                self._tell(container, "is removed by hand")
                self.machine.remove(container)
            case "ill" if container.is_up and container.role in (Role.WEB, Role.DEPENDENCY):
                self._tell(container, "falls ill")
                self.machine.fall_ill(container)
            case "flap" if container.is_up and container.role in (Role.WEB, Role.DEPENDENCY):
                self._tell(container, "flaps")
                self.machine.fall_ill(container)
                self._time += self.random.uniform(0, 5)
                self.machine.recover(container)
            case "detach" if container.addresses:
                network = self.random.choice(sorted(container.addresses))
                self._tell(container, f"loses {network}")
                self.machine.detach(container, network)
            case "reattach" if VAULT_NET in container.addresses:
                self._tell(container, "gets another address")
                self.machine.detach(container, VAULT_NET)
                self.machine.attach(container, VAULT_NET)
            case "pause" if container.is_up:
                self._tell(container, "is frozen or thawed")
                self.machine.pause(container)
            case "start":
                self._tell(container, "is started by hand")
                with suppress(EngineError):
                    self.engine.start((container.id,))

    def _proxy_breaks(self) -> None:
        stack = self._stack
        if stack is None or not (processes := list(self.proxy.processes(stack).values())):
            return
        process = self.random.choice(processes)
        container = self.machine.containers[process.container]
        match self.random.choice(["mute", "slow", "old file", "no file", "server", "crash", "hand"]):
            case "slow":
                self._tell(container, "has a master that is too slow, or no longer is")
                self.proxy.slow ^= {process.container}
            case "mute":
                self._tell(container, "does not answer on its socket")
                self.proxy.mute ^= {process.container}
            case "old file" if self._old_file:
                self.story.tell("world", "haproxy.cfg is an old one, and HAProxy restarts")
                self.proxy.files[stack.project] = self._old_file
                self.judge.file_changed()
                self.machine.kill(container, by_hand=False)
            case "no file":
                self.story.tell("world", "haproxy.cfg is lost")
                self.proxy.files.pop(stack.project, None)
                self.judge.file_changed()
            case "server" if servers := process.workers[0].servers:
                name = self.random.choice(sorted(servers))
                self.story.tell("world", f"somebody deletes server {name} by hand")
                del servers[name]
            case "crash":
                self._tell(container, "crashes")
                self.machine.kill(container, by_hand=False)
            case "hand":
                self.story.tell("world", "somebody adds a server by hand")
                process.workers[0].servers["stranger"] = MemoryServer("10.9.9.9:80", self._time)

    def _machine_breaks(self) -> None:
        match self.random.choice(["clock", "reboot", "orphan", "image", "tag", "port", "records"]):
            case "clock":
                jump = self.random.choice([-3600.0, -30.0, 30.0, 3600.0])
                self.story.tell("world", f"the clock jumps by {jump:.0f} s")
                self._offset += jump
                self._clock_was_set = True
            case "reboot":
                self.story.tell("world", "the engine restarts, and all containers with it")
                for container in list(self.machine.containers.values()):
                    self.machine.kill(container, by_hand=False)
                self._time += self.random.uniform(0, 5)
            case "orphan" if self._stack:
                self._add_former(self._stack)
            case "image" if self._stack:
                image = self.random.choice(self._stack.workloads).image
                self.story.tell("world", f"image {image} is pruned")
                self.engine.missing_images.add(image)
                if self.random.random() < 0.3:
                    self.engine.unpullable.add(image)
            case "tag" if self._stack:
                image = self.random.choice(self._stack.web).image
                self.story.tell("world", f"the tag of {image} is moved")
                self.engine.image_ids[image] = f"sha256:{self.random.getrandbits(64):016x}"
            case "port" if not self.machine.owner(8081):
                self.story.tell("world", "somebody takes port 8081")
                self.engine.foreign_ports[8081] = "process nginx (pid 42)"
            case "records":
                self.story.tell("world", "the history is lost")
                self.records = MemoryRecords()
                self.judge.lose_history()
                self._begin_controller()

    def _add_former(self, stack: Stack) -> None:
        """A container of a service that an earlier fragment had."""
        number = len(self.machine.containers) + 1
        former = MemoryContainer(
            id=f"{self.random.getrandbits(48):012x}".ljust(64, "0"),
            name=f"{stack.project}-former-{number}",
            service=NAME,
            project=stack.project,
            workload="former",
            role=Role.DEPENDENCY,
            revision="v1-former",
            behaviour=Behaviour(),
            number=number,
            created=self.now(),
            networks=frozenset({VAULT_NET}),
            restarts=True,
        )
        self.machine.add(former)
        self.machine.start(former)
        self._tell(former, "is found, whose service is no more")

    def _tell(self, container: MemoryContainer, what: str) -> None:
        self.story.tell("world", f"{container.name} ({container.id[:12]}) {what}")

    # The end

    def _check_end(self) -> None:
        """Everything is there, once, of the right revision, and serves; nothing else is."""
        stack = self._stack
        assert stack is not None
        containers = list(self.machine.of(stack.project))
        for workload in stack.workloads:
            mine = [c for c in containers if c.workload == workload.name]
            done = [c for c in mine if c.state is State.RUNNING or _does_well(c, workload)]
            good = [c for c in done if workload.accepts(c.revision) and not self._is_asked_to_go(c)]
            if workload.role is Role.JOB and self._was_complete(workload) and not any(c.is_up for c in mine):
                # It is never run again, however a start that was not ours ended.
                continue
            if stack.is_stopped and workload.role in (Role.DEPENDENCY, Role.JOB):
                # It is kept for its volumes.
                mine = [c for c in mine if c.is_up]
                good = mine
            if not len(mine) == len(good) == workload.replicas:
                raise Violation(
                    f"{workload.name}: {len(mine)} containers, {len(good)} of them good; {workload.replicas} wanted"
                )
        # One that is kept for its volumes is made anew when its service starts.
        self._check_namespaces([c for c in containers if c.is_up or not stack.is_stopped])
        if left := [name for role, name in self.engine.left_volumes if role is Role.WEB]:
            raise Violation(f"removed without their anonymous volumes: {', '.join(left)}")
        known = {workload.name for workload in stack.workloads}
        if strangers := [c.name for c in containers if c.workload not in known]:
            raise Violation(f"left over: {', '.join(strangers)}")
        self._check_pool(stack, {c.id[:12] for c in containers if c.role is Role.WEB})

    def _check_namespaces(self, containers: list[MemoryContainer]) -> None:
        """Each container that shares a namespace is in that of the owner that runs now."""
        for container in containers:
            for id in container.owners if container.slot is None else ():
                owner = self.machine.containers.get(id)
                # After a jump of the clock the engine's times do not tell which of the two was started first.
                if owner is None or (owner.started > container.started and not self._clock_was_set):
                    raise Violation(f"{container.name} lives in a namespace whose owner is gone")

    def _was_complete(self, job: Workload) -> bool:
        """Whether a job has ended well before, so that its container is not missed."""
        return not job.revisions.isdisjoint(self.records.completions(self.wish.name).get(job.name, ()))

    def _is_asked_to_go(self, container: MemoryContainer) -> bool:
        """Whether there should be a fresh one in its place by now; a second is as near as the spec and the engine tell."""
        rotated = self.wish.rotated
        old = rotated is not None and container.created + timedelta(seconds=1) < rotated.replace(
            microsecond=0
        )
        stored = self.objects.get(NAME)
        evicted = stored is not None and container.id in (stored.evicted or {})
        return container.role is Role.WEB and (old or evicted)

    def _check_pool(self, stack: Stack, replicas: set[str]) -> None:
        serving = set(self.proxy.files[stack.project].servers)
        if not serving <= replicas or len(serving) != stack.serving:
            raise Violation(f"haproxy.cfg names {sorted(serving)}, but the replicas are {sorted(replicas)}")
        pool = self.judge.pool(stack)
        if len(pool) != haproxy_of(stack).replicas:
            raise Violation(f"{len(pool)} HAProxies take connections, {haproxy_of(stack).replicas} wanted")
        for worker, names in pool.items():
            if names != serving:
                raise Violation(f"HAProxy worker {worker} serves {sorted(names)}, not {sorted(serving)}")
        for process in self.proxy.processes(stack).values():
            servers = process.workers[0].servers
            if set(servers) != serving or any(s.admin is not Admin.READY for s in servers.values()):
                raise Violation(f"HAProxy {process.slot} has other servers: {sorted(servers)}")


def _does_well(container: MemoryContainer, workload: Workload) -> bool:
    """Whether a container that does not run is as it should be: a job that is done, a gateway that was frozen."""
    if workload.role is Role.GATEWAY:
        return container.state is State.PAUSED
    return workload.one_shot and container.exit_code == 0


@contextmanager
def _seen_by(simulation: Simulation) -> Iterator[None]:
    """While it lasts, the simulation sees every plan that the controller makes."""

    def plan(assessment: Assessment, history: History, front: FrontDoor) -> Plan:
        made = planner.plan(assessment, history, front)
        simulation.planned(assessment, history, made)
        return made

    before, world.plan = world.plan, plan  # type: ignore[attr-defined]
    try:
        yield
    finally:
        world.plan = before  # type: ignore[attr-defined]


def live_through(seed: int) -> Figures:
    """One history. Raises Violation with its story."""
    return run(Simulation(seed), again(seed))


def again(seed: int) -> str:
    """How a history of the mix is lived through once more."""
    return f"replay it with SEED={seed}"


def run(simulation: Simulation, last: str) -> Figures:
    """The history of a simulation. Raises Violation with its story, and this as its last line."""
    try:
        return simulation.run()
    except Violation as violation:
        raise Violation(f"{violation}\n{simulation.story}\n{last}") from None
    except Exception as error:
        error.add_note(f"{simulation.story}\n{last}")
        raise
