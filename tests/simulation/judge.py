"""The invariants: what must hold after every step of every history, judged from the world itself and not from a plan.

Each of them starts from what could be known when the pass looked: what the world breaks meanwhile is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from reconciler.core.assess.assessment import Assessment, assess
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import Admin, Container, Health, Observation, State
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.desired.strategy import OVERLAPS
from reconciler.core.plan.operations import Plan
from reconciler.core.plan.planner import plan as plan_now
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import MemoryContainer
from reconciler.proxy.haproxy.config import TIMEOUTS
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.memory import MemoryServer, MemoryWorker
from tests.simulation.doors import Door, Doors
from tests.simulation.story import Violation

Pool = Mapping[int, frozenset[str]]
"""By worker that takes connections: the servers that it would send a request to and that can answer it."""


@dataclass
class Pass:
    """What a pass could know, and what it has taken away since.

    `workers`: the HAProxy workers that there were, and those that its own calls have started. `is_deceived`: since it
    looked, a file was changed that HAProxy reads when it starts.
    """

    stack: Stack
    floor: int
    budget: int
    live: int
    up: frozenset[str]
    created: int
    pool: Pool
    ways_in: frozenset[str]
    holds: bool
    in_use: frozenset[str]
    prepared: bool
    workers: set[int]
    images: Mapping[str, str]
    taken: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    calls: int = 0
    is_deceived: bool = False


class Judge:
    """Looks before and after every call of a controller."""

    def __init__(self, engine: MemoryEngine, doors: Doors, random: Random) -> None:
        self._engine = engine
        self._doors = doors
        self._random = random
        self._pass: Pass | None = None
        self._pool: Pool = {}
        self._live = 0
        self._ways_in: frozenset[str] = frozenset()
        self._before: set[int] = set()
        self._known: set[str] = set()
        self._volumes: set[str] = set()
        self._complete: set[tuple[str, str]] = set()

    def lose_history(self) -> None:
        """What was remembered of jobs is lost, or what they did: one whose container is gone as well may run again."""
        self._complete.clear()

    def torn_down(self, project: str) -> None:
        """While this pass goes on, another one has removed the volumes of a service, as its user asked."""
        self._volumes = {volume for volume in self._volumes if not volume.startswith(f"{project}_")}

    # Around a plan

    def planned(self, assessment: Assessment, history: History, made: Plan) -> None:
        """A pass has looked and planned."""
        prepared = self._is_prepared(assessment.stack, assessment.observed)
        # Most plans only wait. The knowledge of a pass without calls is never needed.
        self._pass = self._known_to(assessment, prepared) if made.operations else None
        if self._random.random() < 0.05:
            self._same_again(assessment, history, made)

    def _known_to(self, assessment: Assessment, prepared: bool) -> Pass:
        stack, observed = assessment.stack, assessment.observed
        surge = 0 if stack.strategy.kind == "Recreate" else stack.strategy.surge
        up = frozenset(
            c.short for c in observed.engine.containers if c.state in (State.RUNNING, State.PAUSED)
        )
        accepting = self._accepting(stack)
        pool = self._pool_of(stack, accepting, self._unseen(stack, up))
        self._volumes = set(self._engine.volumes)
        return Pass(
            stack=stack,
            floor=floor_of(stack, observed),
            budget=stack.replicas + surge,
            live=sum(c.role is Role.WEB and _is_live(c) for c in observed.engine.containers),
            up=up,
            created=0,
            pool={worker: names & up for worker, names in pool.items()},
            ways_in=frozenset(process.container for process in accepting),
            holds=_lacks_a_dependency(stack, observed)
            and not self._taking(stack)
            and not _held_for_too_long(assessment),
            in_use=frozenset(
                c.id
                for c in observed.engine.containers
                if c.state is State.RUNNING and c.health in (Health.NONE, Health.HEALTHY)
            ),
            prepared=prepared,
            workers=self._all_workers(stack),
            images=dict(self._engine.image_ids),
        )

    def _same_again(self, assessment: Assessment, history: History, made: Plan) -> None:
        """The order in which an engine lists its containers means nothing."""
        observed = assessment.observed
        containers = list(observed.engine.containers)
        instances = list(observed.proxy.instances)
        self._random.shuffle(containers)
        self._random.shuffle(instances)
        shuffled = Observation(
            replace(observed.engine, containers=tuple(containers)),
            replace(observed.proxy, instances=tuple(instances)),
        )
        if (again := plan_now(assess(assessment.stack, shuffled, assessment.now), history, FRONT)) != made:
            raise Violation(f"the plan depends on the order of what was seen:\n{made}\n-- or --\n{again}")

    def file_changed(self) -> None:
        """The world has changed a file: what starts with it is not the work of the pass that has looked before."""
        if self._pass is not None:
            self._pass.is_deceived = True

    # Around a call

    def before(self, call: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """A controller is about to make this call."""
        if (now := self._pass) is None:
            raise Violation(f"{call} is called, and the plan has no operation")
        accepting = self._accepting(now.stack)
        self._pool = self._pool_of(now.stack, accepting)
        self._ways_in = frozenset(process.container for process in accepting)
        self._before = self._all_workers(now.stack)
        if call == "create":
            containers = self._containers(now.stack)
            self._live = sum(_is_live(c) for c in containers)
            self._known = {c.id for c in containers}
        if call == "start":
            for id in arguments[0]:
                if container := self._engine.machine.containers.get(id):
                    self._let_start(now, container)
        if call in ("stop", "remove"):
            for id in arguments[0]:
                if container := self._engine.machine.containers.get(id):
                    self._let_end(now, container, call)
        elif call == "delete_servers" and named["force"]:
            for name in arguments[2]:
                self._let_cut(now, name)
        elif call == "add_servers" and now.holds:
            names = _names(server.name for server in arguments[2])
            raise Violation(f"requests are let in to {names} before what they need is ready")

    def after(self, call: str) -> None:
        """The call was made, with whatever result."""
        if (now := self._pass) is None:
            return
        accepting = self._accepting(now.stack)
        pool = self._pool_of(now.stack, accepting)
        if not now.is_deceived:
            now.workers |= self._all_workers(now.stack) - self._before
        # A worker that takes no more connections took nothing away; the ways in are counted below.
        taken = {name for worker, names in pool.items() for name in self._pool.get(worker, names) - names}
        now.taken |= taken
        for worker in now.pool.keys() & pool.keys():
            known = now.pool[worker]
            left = known - now.taken
            if taken & known and len(left) < now.floor:
                raise Violation(
                    f"{call} leaves {len(left)} servers ({_names(left)}) to HAProxy worker {worker}, "
                    f"{now.floor} have to serve; gone: {_names(taken)}"
                )
        self._new_workers(call, now, pool)
        if call == "create":
            self._budget(now)
        open_still = {process.container for process in accepting}
        now.closed |= self._ways_in - open_still
        # One that was thawed after the pass had looked was no way in for it.
        if call == "stop" and (self._ways_in - open_still) & now.ways_in and not now.ways_in - now.closed:
            raise Violation("the last HAProxy that took connections was stopped")
        if call == "configure":
            self._file(now)
        if lost := self._volumes - self._engine.volumes:
            raise Violation(f"volumes were removed: {_names(lost)}")
        if now.created:
            self._single_writers(now.stack)
        if call == "create":
            self._one_content(now)

    def _budget(self, now: Pass) -> None:
        live = sum(_is_live(c) for c in self._containers(now.stack))
        if live > self._live:
            now.created += live - self._live
            # Others started or removed containers after the observation of this pass.
            if min(live, now.live + now.created) > now.budget:
                raise Violation(f"{live} live replicas, at most {now.budget} are allowed")

    def _one_content(self, now: Pass) -> None:
        """A new replica gets the content of those of its revision, unless its tag was moved after the pass had looked."""
        if now.images != self._engine.image_ids:
            return
        live = [c for c in self._containers(now.stack) if _is_live(c)]
        for new in live:
            kin = [c for c in live if (c.workload, c.revision) == (new.workload, new.revision)]
            before = {c.image for c in kin if c.id in self._known}
            if new.id not in self._known and before and new.image not in before:
                raise Violation(f"{new.workload} runs {_names(before | {new.image})} under one revision")

    def _new_workers(self, call: str, now: Pass, pool: Pool) -> None:
        if call not in ("reload", "start") or now.is_deceived:
            return
        # A reload hands over what is drained: its worker offers as little as the one before it.
        former = [len(p) for w, p in self._pool.items() if w not in pool] if call == "reload" else []
        for worker, names in pool.items():
            # Who has ended or was frozen since the pass looked was not taken away by this call.
            known = [len(p & self._pool.get(w, p) - now.taken) for w, p in now.pool.items() if w in pool]
            broken = {name for w, p in now.pool.items() for name in p - self._pool.get(w, p) - now.taken}
            if worker not in self._pool and known and len(names | broken) < min(now.floor, *known, *former):
                raise Violation(
                    f"{call} starts a HAProxy worker with {len(names)} servers, {min(known)} serve"
                )

    def _file(self, now: Pass) -> None:
        """Whoever starts from the file serves what those serve that run."""
        names = self._doors.written(now.stack)
        for known in now.pool.values():
            if len(names & known) < min(now.floor, len(known - now.taken)):
                raise Violation(f"haproxy.cfg names {_names(names & known)} of {_names(known)}")

    def _is_prepared(self, stack: Stack, observed: Observation) -> bool:
        """Whether every job of the stack has ended well, now or before; remembers those that have."""
        prepared = True
        for job in stack.of(Role.JOB):
            mine = [c for c in observed.of(job.name) if job.accepts(c.revision) and not c.stopping]
            if any(c.state is State.EXITED and c.exit_code == 0 for c in mine):
                self._complete.add((job.name, job.revision))
            prepared &= job.done or (job.name, job.revision) in self._complete
        return prepared

    def _let_start(self, known: Pass, container: MemoryContainer) -> None:
        """New replicas wait for jobs, and no job runs again that has ended well."""
        if container.role is Role.JOB and (container.workload, container.revision) in self._complete:
            raise Violation(f"job {container.name} is run again, which has ended well")
        if container.role is Role.WEB and container.state is State.CREATED and not known.prepared:
            raise Violation(f"{container.name} is started before the job that it waits for has ended")

    def _let_end(self, known: Pass, container: MemoryContainer, call: str) -> None:
        """Nothing that a proxy may still send requests to is ended, and no session before its deadline."""
        stack = known.stack
        if container.role is Role.DEPENDENCY and container.workload in _needed(stack):
            used = container.id in known.in_use
            if call == "stop" and used and container.is_up and self._taking(stack, lambda each: each.is_up):
                raise Violation(f"{container.name} is stopped while requests come that need it")
            return
        if not container.is_up or container.role is not Role.WEB:
            return
        if call == "remove":
            if container.id[:12] not in known.up:
                return
            raise Violation(f"{container.name} is removed while it runs")
        name = container.id[:12]
        for process, worker in self._workers(stack):
            server = worker.servers.get(name)
            if server is None or not self._reaches(stack, process, server, container):
                continue
            if worker.pid not in known.workers:
                # The world has restarted it since, or changed the file that it read.
                continue
            if worker.current and server.admin is Admin.READY:
                raise Violation(f"{container.name} is stopped while HAProxy {process.slot} sends it requests")
            drained = self._drained(worker, server)
            if server.sessions and drained < stack.strategy.drain:
                raise Violation(
                    f"{container.name} is stopped with {len(server.sessions)} sessions in HAProxy {process.slot}, "
                    f"{drained:.1f} s after it was drained; {stack.strategy.drain:.1f} s are promised"
                )

    def _let_cut(self, known: Pass, name: str) -> None:
        """Sessions are cut only when nobody is there to end them, and they had the time to go elsewhere."""
        stack = known.stack
        container = next((c for c in self._containers(stack) if c.id.startswith(name)), None)
        # One that was dead when the pass looked has no sessions now that it had then.
        lives = container is not None and container.state is State.RUNNING and name in known.up
        promised = stack.strategy.drain if lives else TIMEOUTS["connect"]
        for process, worker in self._workers(stack):
            server = worker.servers.get(name)
            if server is None or not server.sessions or worker.pid not in known.workers:
                continue
            if (drained := self._drained(worker, server)) < promised:
                raise Violation(
                    f"deleting server {name} cuts {len(server.sessions)} sessions in HAProxy {process.slot}, "
                    f"{drained:.1f} s after it was drained; {promised:.1f} s are promised"
                )

    def _drained(self, worker: MemoryWorker, server: MemoryServer) -> float:
        """Seconds since the server has got nothing new from this worker."""
        if worker.current and server.admin is Admin.READY:
            return 0.0
        since = server.changed if server.admin is Admin.DRAIN else worker.superseded or 0.0
        return self._engine.machine.clock() - since

    def _single_writers(self, stack: Stack) -> None:
        """What holds data runs once, and a workload that is recreated never in two revisions."""
        overlaps = OVERLAPS[stack.strategy.kind]
        wanted = {workload.name for workload in stack.workloads}
        seen: dict[str, set[str]] = {}
        for container in self._containers(stack, Role.DEPENDENCY, Role.JOB, Role.WEB):
            if container.workload not in wanted:
                continue
            if container.is_up and not (container.role is Role.WEB and overlaps):
                key = container.workload
                value = container.revision if container.role is Role.WEB else container.id
                seen.setdefault(key, set()).add(value)
        if both := [w for w, values in seen.items() if len(values) > 1]:
            raise Violation(f"two of {both[0]} run at the same time")

    # What is true

    def pool(self, stack: Stack) -> Pool:
        """Who would get a request now, and could answer it."""
        return self._pool_of(stack, self._accepting(stack))

    def _pool_of(self, stack: Stack, accepting: Sequence[Door], unseen: frozenset[str] = frozenset()) -> Pool:
        """The pool of these HAProxies, as far as anybody can tell who has not seen `unseen` die."""
        by_name = {c.id[:12]: c for c in self._containers(stack)}
        return {
            process.workers[0].pid: frozenset(
                name
                for name, server in process.workers[0].servers.items()
                if server.up
                and server.weight
                and (name in unseen or ((found := by_name.get(name)) and self._can_answer(found, server)))
            )
            for process in accepting
            # What a HAProxy sees whose socket hangs, nobody can know.
            if process.is_led and process.container not in self._doors.mute
        }

    def _unseen(self, stack: Stack, up: frozenset[str]) -> frozenset[str]:
        """Those that have died since they were seen up, and before the pass had its plan."""
        return up - {c.id[:12] for c in self._containers(stack) if c.is_up}

    def _taking(
        self, stack: Stack, counts: Callable[[MemoryContainer], bool] = lambda container: True
    ) -> bool:
        """Whether any of its replicas that count takes requests; a user may have added a server that is none of them."""
        mine = {c.id[:12] for c in self._containers(stack) if counts(c)}
        workers = (process.workers[0] for process in self._doors.of(stack) if process.workers[0].current)
        return any(s.admin is Admin.READY for w in workers for name, s in w.servers.items() if name in mine)

    def _can_answer(self, container: MemoryContainer, server: MemoryServer) -> bool:
        ill = container.sick_since is not None and container.behaviour.checked
        return (
            container.state is State.RUNNING
            and not ill
            and not container.is_cut
            and not container.is_pending
            and not container.stopping
            and self._is_at(container, server)
        )

    def _is_at(self, container: MemoryContainer, server: MemoryServer) -> bool:
        return self._engine.machine.addresses.get(server.address.partition(":")[0]) is container

    def _accepting(self, stack: Stack) -> list[Door]:
        """The HAProxies that connections to a published port can come to."""
        found = []
        for process in self._doors.of(stack):
            container = self._engine.machine.containers[process.container]
            gateway = self._engine.machine.containers.get(container.joined or "")
            lives = container.joined is None or (
                gateway is not None and gateway.is_up and gateway.started <= process.started
            )
            if lives and process.workers[0].current and self._doors.is_ready(process):
                found.append(process)
        return found

    def _all_workers(self, stack: Stack) -> set[int]:
        return {worker.pid for process in self._doors.of(stack) for worker in process.workers}

    def _workers(self, stack: Stack) -> Iterable[tuple[Door, MemoryWorker]]:
        for process in self._accepting(stack):
            # A HAProxy whose socket hangs cannot be asked; it is given up by a rule of its own.
            if process.container not in self._doors.mute:
                yield from ((process, worker) for worker in process.workers)

    def _reaches(self, stack: Stack, process: Door, server: MemoryServer, container: MemoryContainer) -> bool:
        return (
            self._is_at(container, server)
            and container.state is State.RUNNING
            and container.sick_since is None
            and not container.is_cut
            and not container.is_pending
        )

    def _containers(self, stack: Stack, *roles: Role) -> list[MemoryContainer]:
        wanted = roles or (Role.WEB,)
        return [c for c in self._engine.machine.of(stack.project) if c.role in wanted]


def floor_of(stack: Stack, observed: Observation) -> int:
    """How many replicas have to serve, as far as a pass could know."""
    if _waits_for_an_image(stack, observed) and not _heals_a_dependency(stack, observed):
        return 1 if stack.is_single_active else stack.replicas
    if stack.strategy.kind == "Recreate" or _changes_a_dependency(stack, observed):
        return 0
    return 1 if stack.is_single_active else max(0, stack.replicas - stack.strategy.unavailable)


def _changes_a_dependency(stack: Stack, observed: Observation) -> bool:
    """Whether requests have to be held, because what answers them needs something that is being replaced."""
    return any(
        not workload.accepts(c.revision)
        or (c.node in observed.engine.drained and not c.pinned)
        or (c.state is State.RUNNING and not workload.networks <= set(c.addresses))
        for workload in stack.of(Role.DEPENDENCY)
        if workload.name in _needed(stack)
        for c in observed.of(workload.name)
    )


def _heals_a_dependency(stack: Stack, observed: Observation) -> bool:
    """Whether a dependency that was cut from a network is recreated from an image that is there: nothing that serves can
    reach it meanwhile, whatever else waits for an image.
    """
    return any(
        c.state is State.RUNNING
        and not workload.networks <= set(c.addresses)
        and workload.image not in observed.engine.missing_images
        for workload in stack.of(Role.DEPENDENCY)
        if workload.name in _needed(stack)
        for c in observed.of(workload.name)
    )


def _waits_for_an_image(stack: Stack, observed: Observation) -> bool:
    """Whether something is to be replaced by what has no image yet, so that all that serves has to serve on."""
    return any(
        workload.image in observed.engine.missing_images
        and any(not workload.accepts(c.revision) for c in observed.of(workload.name))
        for workload in stack.of(Role.DEPENDENCY, Role.WEB)
        if workload.role is Role.DEPENDENCY or _lacks_replicas(stack, workload, observed)
    )


def _lacks_replicas(stack: Stack, workload: Workload, observed: Observation) -> bool:
    """Whether a rollout still has to create replicas of this workload. While it is paused it creates none."""
    current = sum(_is_live(c) and workload.accepts(c.revision) for c in observed.of(workload.name))
    return not stack.strategy.paused and current < workload.replicas


def _held_for_too_long(assessment: Assessment) -> bool:
    """Whether HAProxy is about to answer for the replicas, so that they may as well answer themselves."""
    longest = max((member.since for member in assessment.members.values() if member.draining), default=0.0)
    return longest >= assessment.stack.proxy.hold_seconds - 1


def _lacks_a_dependency(stack: Stack, observed: Observation) -> bool:
    return any(
        not observed.of(workload.name)
        or any(
            c.state is not State.RUNNING or c.stopping or c.health in (Health.STARTING, Health.UNHEALTHY)
            for c in observed.of(workload.name)
        )
        for workload in stack.of(Role.DEPENDENCY)
        if workload.name in _needed(stack)
    )


def _needed(stack: Stack) -> frozenset[str]:
    return frozenset(name for workload in stack.web for name in workload.needs)


def _is_live(container: MemoryContainer | Container) -> bool:
    return container.state not in (State.EXITED, State.DEAD, State.RESTARTING)


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
