"""Simulated histories of gateways: one or two of them, services with routes, and the passes of both side by side.

The files and the sockets of gateways are in memory as well; all that reads, decides and tells is the real code. A pass over
another object may run between any two calls of a pass, as it does in a controller with several workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from random import Random
from typing import Any, Final

from metrics.recorder import Recorder
from reconciler.api import find_condition
from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Ref, ref_labelled
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.reconcile import gateway as gateway_controller
from reconciler.controller.reconcile import service as controller
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.routing import Router, Routing
from reconciler.controller.report.journal import Journal
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import State
from reconciler.core.desired.build import build
from reconciler.core.desired.build import project_of as service_project
from reconciler.core.desired.stack import Role, Site, Stack
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.operations import Plan
from reconciler.core.routes.table import Table
from reconciler.engines.memory.machine import MemoryContainer
from reconciler.proxy.base import GatewayLook
from reconciler.proxy.haproxy.choice import HAProxies
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.pools import needs_of
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from reconciler.proxy.memory import MemoryGateways, MemoryProcess, MemoryProxy, MemoryServer
from reconciler.threads import one_by_one
from tests.simulation.doors import Doors
from tests.simulation.gateway_judge import GatewayJudge
from tests.simulation.judge import Judge, floor_of
from tests.simulation.routes import (
    GATEWAYS,
    PORTS,
    SERVICES,
    SHARING,
    SORTS,
    GatewayWish,
    Routes,
    first_gateway,
    other_gateway,
    requests_of,
    some_routes,
)
from tests.simulation.services import PLUGINS, Wish, first_wish, other_wish, settled
from tests.simulation.simulation import (
    NOTICED_BY_THEN,
    RESYNC,
    Crash,
    Faulty,
    Figures,
    Simulation,
    _seen_by,
)
from tests.simulation.stores import ORIGIN, MemoryRecords
from tests.simulation.story import Violation

PATIENCE: Final = 1500
"""Passes within which everything has to be as the specs want it once nothing breaks any more."""

_RECORDER: Final = Recorder()


class _NoEvents(ServerEvents):
    """All events of servers are missed."""

    def __init__(self) -> None:
        """Without a socket."""

    def listen(self, *_: object) -> None:
        """See ServerEvents.listen."""


class MemoryProxies(HAProxies):
    """The proxies of every stack, in memory."""

    def __init__(self, own: MemoryProxy, shared: GatewayServers) -> None:
        self._own = own  # type: ignore[assignment]
        self._shared = shared


class GatewaySimulation(Simulation):
    """The world of one seed, with gateways."""

    def __init__(self, seed: int) -> None:
        self._due_of: dict[Ref, float] = {}
        self._last_of: dict[Ref, float] = {}
        self._did_of: dict[Ref, str] = {}
        self._floors: dict[str, int] = {}
        self._stacks: dict[str, Stack] = {}
        self._specs: dict[str, object] = {}
        self._looked_at: dict[str, tuple[Stack, frozenset[str]]] = {}
        self._passing: list[Ref] = []
        self._user_acts = False
        super().__init__(seed)

    def prepare(self) -> None:
        """Make the world of gateways beside that of Simulation."""
        self.gateways = MemoryGateways(self.machine, self.clock)
        self.mine = self.objects.of(VAULT_GATEWAY)
        self._routes = Router(self.objects)
        self.shared = GatewayServers(
            self.sites, self.clock, _NoEvents(), self.gateways, self.gateways.at, one_by_one
        )
        self.doors = Doors(self.proxy, self.gateways, self.sites)
        self.gateway_judge = GatewayJudge(
            self.engine, self.gateways, self.sites, self.tables, lambda name: self._floors.get(name, 0)
        )
        self.judges = {name: Judge(self.engine, self.doors, self.random) for name in SERVICES}
        self.wishes: dict[str, Wish] = {}
        self.gateway_wishes: dict[str, GatewayWish] = {}

    def sites(self) -> Mapping[str, Site]:
        """Where the files of all gateways are."""
        return {name: Site(self.mine.directory(name), 99, 99) for name in self.mine.names()}

    def routing(self) -> Routing:
        """The routes of all objects, as every pass settles them."""
        return self._routes.settled()

    def tables(self) -> Mapping[str, Table]:
        """What is wanted of each gateway."""
        return self.routing().tables

    # The history

    def run(self) -> Figures:
        """Live through it. Raises Violation."""
        with _seen_by(self):
            for name in GATEWAYS[: self.random.choice([1, 1, 2])]:
                self._want_gateway(first_gateway(name, self.random))
            for name in SERVICES[: self.random.choice([1, 2, 2, 3])]:
                self._want(self._first(name))
            trouble = self.random.random() < 0.9
            for _ in range(self.random.randint(4, 14)):
                self._faulty = trouble
                if self.random.random() < 0.6:
                    self._something_happens()
                for _ in range(self.random.choice([2, 4, 8, 16])):
                    self._next_pass(self.random.choice([0.0, 0.1, 1.0, 5.0]))
            self._calm()
            self._leave_the_others_alone()
        return Figures(self._passes, self._calls, self._faults, self._requests)

    def _first(self, name: str) -> Wish:
        wish = first_wish(self.random)
        routes = some_routes(list(self.gateway_wishes), self.random) if self.random.random() < 0.8 else None
        return self._of(wish, name, routes)

    def _of(self, wish: Wish, name: str, routes: Any) -> Wish:
        port = wish.port % 10 + 8080 + 10 * SERVICES.index(name)
        return Wish(**{**vars(wish), "name": name, "routes": routes, "port": port})

    def _calm(self) -> None:
        self._faulty = False
        self.engine.unpullable.clear()
        self.engine.foreign_ports.clear()
        self.proxy.mute.clear()
        self.gateways.mute.clear()
        self.gateways.slow.clear()
        self.proxy.slow.clear()
        for container in self.machine.containers.values():
            if container.role in (Role.DEPENDENCY, Role.JOB):
                self.machine.recover(container)
                if container.state is State.PAUSED:
                    self.machine.pause(container)
        self.story.tell("world", "is quiet from now on")
        if not self.gateway_wishes:
            self._want_gateway(first_gateway(GATEWAYS[0], self.random))
        for name, wish in list(self.wishes.items()):
            # A clock that jumped makes an hourly rotation due at any time.
            wish = replace(settled(wish, self.now()), rotation=None)
            routes = wish.routes
            if routes is not None and routes.gateway not in self.gateway_wishes:
                routes = some_routes(list(self.gateway_wishes), self.random)
            self._want(self._of(wish, name, routes))
        self._advance(NOTICED_BY_THEN)
        self._rest()

    def _rest(self) -> None:
        """Converge, and then do nothing more."""
        self._converge()
        for seconds in (1.0, 100.0):
            self._advance(seconds)
            for ref in sorted(self._due_of, key=str):
                result = self._pass_over(ref)
                if result.did or not (result.converged or result.gone):
                    raise Violation(f"converged, and then {ref} did this:\n{result.did or self._status(ref)}")
        for name in self.wishes:
            self._check_service(name)
        for name in self.gateway_wishes:
            self._check_gateway(name)

    def _status(self, ref: Ref) -> str:
        ready = find_condition(self.objects.of(ref.kind).status(ref.name).conditions, "Ready")
        return f"{ready.reason}: {ready.message}" if ready else "no condition"

    def _converge(self) -> None:
        quiet: set[Ref] = set()
        for _ in range(PATIENCE):
            ref, result = self._next(1.0)
            waits = ref.kind == VAULT_GATEWAY and result.requeue_after is not None
            if result.converged and not result.did and not waits:
                quiet.add(ref)
            elif result.gone:
                self._due_of.pop(ref, None)
            else:
                quiet.clear()
            if quiet >= self._due_of.keys():
                return
        busy = "; ".join(f"{ref}: {self._status(ref)}" for ref in self._due_of if ref not in quiet)
        raise Violation(f"not converged after {PATIENCE} quiet passes: {busy}")

    def _leave_the_others_alone(self) -> None:
        """A change of one service's routes, and of the service itself, touches nothing of the others."""
        if len(self.wishes) < 2:
            return
        # What of a shared host or port one gives up, another one gets.
        alone = [n for n, w in self.wishes.items() if w.routes is None or w.routes.sort not in SHARING]
        if not alone:
            return
        name = self.random.choice(sorted(alone))
        others = [each for each in self.wishes if each != name]
        before = {each: self._of_others(each) for each in others}
        workers = self._gateway_workers()
        wish = self.wishes[name]
        change = self.random.choice(["routes", "replicas", "path", "delete"])
        if change == "delete":
            self._delete(name)
        elif change == "routes":
            sort = self.random.choice([each for each in SORTS if each not in SHARING])
            self._want(self._of(wish, name, Routes(self.random.choice(sorted(self.gateway_wishes)), sort)))
        elif change == "replicas":
            self._want(self._of(Wish(**{**vars(wish), "replicas": 5 - wish.replicas % 4}), name, wish.routes))
        else:
            self._want(self._of(Wish(**{**vars(wish), "path": "/else"}), name, wish.routes))
        self._converge()
        if self._gateway_workers() != workers:
            raise Violation(f"{change} of {name}: HAProxies of gateways were started again")
        for each in others:
            if self._of_others(each) != before[each]:
                raise Violation(
                    f"{change} of {name} changed {each}: {before[each]} -- {self._of_others(each)}"
                )
        self._rest()

    def _gateway_workers(self) -> set[int]:
        return {
            worker.pid
            for gateway in self.gateway_wishes
            for process in self.gateways.of(project_of(gateway)).values()
            for worker in process.workers
            if worker.current
        }

    def _of_others(self, name: str) -> object:
        """Containers and servers of a service; a server that were added again would be another object."""
        stack = self._stacks[name]
        doors = self.doors.of(stack)
        return (
            {c.id for c in self.machine.of(stack.project)},
            {
                (d.container, d.workers[0].pid): {n: id(s) for n, s in d.workers[0].servers.items()}
                for d in doors
            },
        )

    # Passes

    def _next_pass(self, longest: float) -> Result:
        return self._next(longest)[1]

    def _next(self, longest: float) -> tuple[Ref, Result]:
        """Wait until a pass is due, but not much longer, and make it."""
        moments = {
            ref: min(due, self._last_of.get(ref, self._time) + RESYNC) for ref, due in self._due_of.items()
        }
        first = min(moments.values(), default=self._time)
        ready = sorted((ref for ref, due in moments.items() if due <= max(first, self._time)), key=str)
        ref = self.random.choice(ready)
        late = self.random.uniform(0, longest)
        self._advance(max(0.0, first - self._time) + late)
        return ref, self._pass_over(ref)

    def _pass_over(self, ref: Ref) -> Result:
        """One pass. One within another is killed with it."""
        self._passes += 1
        self._due_of[ref], self._last_of[ref] = inf, self._time
        is_inner = bool(self._passing)
        self._passing.append(ref)
        result = Result()
        try:
            result = self._reconcile(ref)
        except VaultError as error:
            self.story.tell(str(ref), f"gives up for now: {error}")
            delay = error.delay if isinstance(error, TemporaryError) else None
            self._due_of[ref] = self._time + (self._backoff.next(str(ref)) if delay is None else delay)
        except Crash:
            if is_inner:
                raise
            self._begin_controller()
        else:
            self._after(ref, result)
        finally:
            if self._passing and self._passing[-1] == ref:
                self._passing.pop()
        return result

    def _reconcile(self, ref: Ref) -> Result:
        if ref.kind == VAULT_GATEWAY:
            return gateway_controller.reconcile(ref.name, self._gateway_world)
        return controller.reconcile(ref.name, self._world)

    def _after(self, ref: Ref, result: Result) -> None:
        """As the manager does."""
        if ref.kind == VAULT_GATEWAY and result.converged and not result.did:
            self.gateway_judge.converged(ref.name)
        for woken in result.wakes:
            self._wake(woken)
        if (result.did or result.gone) and ref.kind == VAULT_SERVICE:
            for name in self.mine.names():
                self._wake(Ref(VAULT_GATEWAY, name))
        if result.gone:
            self._due_of.pop(ref, None)
            return
        if result.did and result.did == self._did_of.get(ref):
            self._due_of[ref] = self._time + self._backoff.next(str(ref))
            return
        self._did_of[ref] = result.did
        self._backoff.forget(str(ref))
        if result.requeue_after is not None:
            self._due_of[ref] = min(self._due_of[ref], self._time + result.requeue_after)

    def _wake(self, ref: Ref) -> None:
        if self.objects.of(ref.kind).get(ref.name) is not None:
            self._due_of[ref] = min(self._due_of.get(ref, inf), self._time)

    def _wake_all(self) -> None:
        for kind in (VAULT_SERVICE, VAULT_GATEWAY):
            for name in self.objects.of(kind).names():
                self._wake(Ref(kind, name))

    def _begin_controller(self) -> None:
        if not hasattr(self, "gateways"):
            self.prepare()
        self.machine.lose_grip()
        self._passing.clear()
        self._backoff = Backoff(Random(self.random.random()))
        self._router = Router(self.objects)
        self.shared = GatewayServers(
            self.sites, self.clock, _NoEvents(), self.gateways, self.gateways.at, one_by_one
        )
        proxies = Faulty(MemoryProxies(self.proxy, self.shared), self._call)
        self._world = replace(self._new_world(), proxy=proxies)
        door = HAProxyGateways(
            lambda *_: None, lambda: "", self.clock, self.gateways, self.gateways.at, one_by_one
        )
        self._gateway_world = gateway_controller.GatewayWorld(
            objects=self.objects,
            router=self._router,
            engine=Faulty(self.engine, self._call),  # type: ignore[arg-type]
            gateways=Faulty(door, self._call),
            journal=Journal(self.records.of(VAULT_GATEWAY), _RECORDER, VAULT_GATEWAY),
            bind="",
            key=b"",
            now=self.now,
            clock=self.clock,
            abreast=one_by_one,
        )
        self._wake_all()

    def _build(self, service: Any) -> Stack:
        routed = self._router.routed(service)
        known = self._stacks.get(service.name)
        if known is None or self._specs.get(service.name) is not service.spec or known.routed != routed:
            site = Site(self.objects.directory(service.name), 99, 99)
            self._specs[service.name] = service.spec
            known = build(service, PLUGINS[service.spec.plugin], site, front=FRONT, routed=routed)
            self._stacks[service.name] = known
        return known

    def planned(self, assessment: Assessment, history: History, made: Plan) -> None:
        """A pass over a service has planned."""
        self._plans += 1
        stack = assessment.stack
        if made.operations or made.blocked:
            self.story.tell(stack.name, made)
        self._floors[stack.name] = floor_of(stack, assessment.observed)
        self.judges[stack.name].planned(assessment, history, made)

    # Calls

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self._faulty and len(self._passing) == 1 and self.random.random() < 0.05:
            self._meanwhile()
        result = super()._call(name, function, *arguments, **named)
        if name == "look":
            self._looked(result)
        return result

    def _looked(self, look: GatewayLook) -> None:
        plan, stack = look.preview.plan, look.preview.stack
        if plan.operations or plan.blocked:
            self.story.tell(f"gateway {stack.name}", plan)
        holders = [w for w in stack.workloads if w.role is Role.GATEWAY]
        mine = [c for c in self.machine.of(stack.project) if c.role is Role.GATEWAY]
        moves = any(not w.accepts(c.revision) for w in holders for c in mine)
        self.gateway_judge.looked(stack.name, moves=moves)
        self._looked_at[stack.name] = stack, frozenset(self.gateways.slow - self.gateways.mute)

    def _let_stop(self, stack: Stack, slow: frozenset[str], id: str) -> None:
        """One whose master is slow serves, and is not replaced for that."""
        container = self.machine.containers.get(id)
        if container is None or id not in slow & self.gateways.slow - self.gateways.mute:
            return
        wanted = any(w.name == container.workload and w.accepts(container.revision) for w in stack.workloads)
        holder = self.machine.containers.get(container.joined or "")
        # One that was made for a namespace from before a restart of the engine may not be in the present one.
        is_home = container.joined is None or (
            holder is not None and container.namespace == holder.started_at
        )
        process = self.gateways.of(stack.project).get(id)
        if wanted and is_home and process and self.gateways.serves(process):
            raise Violation(f"{container.name} is stopped, which serves and only has a slow master")

    def _meanwhile(self) -> None:
        """Another worker of the controller makes a pass over another object; or a user acts."""
        if self._user_acts and self.random.random() < 0.2:
            self._something_is_wanted()
        others = sorted((ref for ref in self._due_of if ref not in self._passing), key=str)
        if others:
            ref = self.random.choice(others)
            self.story.tell("meanwhile", f"a pass over {ref}")
            self._pass_over(ref)

    def _do(self, name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        ref = self._passing[-1]
        if name in ("withdraw", "tear_down"):
            done = function(*arguments, **named)
            if named.get("volumes"):
                self.judges[ref.name].lose_history()
                for judge in self.judges.values():
                    judge.torn_down(arguments[0])
            return done
        if ref.kind == VAULT_GATEWAY:
            for id in arguments[0] if name == "stop" else ():
                self._let_stop(*self._looked_at[ref.name], id)
            self.gateway_judge.before(ref.name)
            try:
                function(*arguments, **named)
            finally:
                self.gateway_judge.after(ref.name, name)
            return None
        judge = self.judges[ref.name]
        judge.before(name, arguments, named)
        try:
            function(*arguments, **named)
        finally:
            judge.after(name)
        return None

    def _requests_come(self) -> None:
        asked = requests_of(SERVICES)
        for gateway in self.mine.names():
            for process in self.gateway_judge.accepting(gateway):
                for _ in range(self.random.randint(0, 3)):
                    host, path = self.random.choice(asked)
                    seconds = self.random.choice([0.01, 0.1, 1.0, 3.0, 45.0])
                    answer = self.gateways.request(
                        project_of(gateway), process.container, host, path, seconds, self.random.choice
                    )
                    self.gateway_judge.answered(gateway, host, path, answer)
                    self._requests += bool(answer and answer.server)
        for name, stack in self._stacks.items():
            if stack.routed is None and name in self.wishes:
                for own in list(self.proxy.processes(stack).values()):
                    if self.proxy.is_ready(own) and self.random.random() < 0.5:
                        seconds = self.random.choice([0.01, 0.1, 3.0])
                        self._requests += bool(
                            self.proxy.request(stack, own.container, seconds, self.random.choice)
                        )

    def _event(self, service: str) -> None:
        ref = ref_labelled(service)
        if ref in self._due_of and not (self._faulty and self.random.random() < 0.2):
            self._due_of[ref] = min(self._due_of[ref], self._time)

    # What happens

    def _want(self, wish: Wish) -> None:
        self.wishes[wish.name] = wish
        self.objects.apply(wish.service(), ORIGIN)
        self.story.tell("user", f"wants {wish}")
        self._changed()

    def _want_gateway(self, wish: GatewayWish) -> None:
        self.gateway_wishes[wish.name] = wish
        self.mine.apply(wish.gateway(), ORIGIN)
        self.story.tell("user", f"wants {wish}")
        self._changed()

    def _delete(self, name: str) -> None:
        self.story.tell("user", f"deletes {name}")
        del self.wishes[name]
        self.objects.request_deletion(name, volumes=True, now=self.now())
        self._changed()

    def _changed(self) -> None:
        self.gateway_judge.settled()
        self._wake_all()

    def _something_happens(self) -> None:
        if not self._faulty or self.random.random() < 0.5:
            self._something_is_wanted()
        else:
            self._something_breaks()

    def _something_is_wanted(self) -> None:
        random, names = self.random, list(self.gateway_wishes)
        gone = [n for n in SERVICES if n not in self.wishes and self.objects.get(n) is None]
        match random.choice(["service", "service", "routes", "routes", "routes", "gateway", "new", "delete"]):
            case "gateway" if names:
                self._want_gateway(other_gateway(self.gateway_wishes[random.choice(names)], random))
            case "new" if gone and names:
                self._want(self._first(random.choice(gone)))
            case "delete" if len(self.wishes) > 1:
                self._delete(random.choice(sorted(self.wishes)))
            case "routes" if self.wishes and names:
                wish = self.wishes[random.choice(sorted(self.wishes))]
                routes = some_routes(names, random) if random.random() < 0.85 else None
                self._want(self._of(wish, wish.name, routes))
            case _ if self.wishes:
                wish = self.wishes[random.choice(sorted(self.wishes))]
                self._want(self._of(other_wish(wish, random, self.now()), wish.name, wish.routes))

    def _proxy_breaks(self) -> None:
        gateways = [n for n in self.mine.names() if self.gateways.of(project_of(n))]
        if not gateways:
            return
        name = self.random.choice(gateways)
        process = self.random.choice(list(self.gateways.of(project_of(name)).values()))
        container = self.machine.containers[process.container]
        there = self.gateways.directory(self.mine.directory(name))
        pools = sorted(pool for pool, servers in process.workers[0].pools.items() if servers)
        match self.random.choice(
            ["mute", "slow", "slow", "structure", "file", "server", "crash", "hand", "map"]
        ):
            case "slow":
                self._tell(container, "has a master that is too slow, or no longer is")
                self.gateways.slow ^= {process.container}
            case "mute":
                self._tell(container, "does not answer on its socket, or does again")
                self.gateways.mute ^= {process.container}
            case "structure":
                self.story.tell("world", f"gateway.cfg of {name} is lost")
                there.structure = ""
                self.gateway_judge.file_changed(name)
            case "file" if pools:
                pool = self.random.choice(pools)
                # Without another random number: seeds that have found something find it again.
                is_removed = int(pool[1:]) % 2 == 0
                how = "removed" if is_removed else "edited"
                self.story.tell("world", f"the file of pool {pool} of {name} is {how} by hand")
                if is_removed:
                    there.pools.pop(pool, None)
                else:
                    there.pools[pool] = None
                self.gateway_judge.file_changed(name)
            case "server" if pools:
                servers = process.workers[0].pools[self.random.choice(pools)]
                gone = self.random.choice(sorted(servers))
                self.story.tell("world", f"server {gone} is deleted by hand")
                del servers[gone]
            case "crash":
                self._tell(container, "crashes")
                self.machine.kill(container, by_hand=False)
            case "hand" if pools:
                self.story.tell("world", "a server is added by hand")
                servers = process.workers[0].pools[self.random.choice(pools)]
                servers["stranger"] = MemoryServer("10.9.9.9:80", self._time)
            case "map" if there.maps.get("routes"):
                self.story.tell("world", f"maps of {name} are lost")
                there.maps.clear()
                self.gateway_judge.file_changed(name)

    def _machine_breaks(self) -> None:
        match self.random.choice(["clock", "reboot", "image", "port", "records"]):
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
            case "image" if self._stacks:
                stack = self.random.choice([*self._stacks.values()])
                image = self.random.choice(stack.workloads).image
                self.story.tell("world", f"image {image} is pruned")
                self.engine.missing_images.add(image)
            case "port":
                port = self.random.choice([*PORTS.values(), 8081])
                if not self.machine.owner(port):
                    self.story.tell("world", f"another process takes port {port}")
                    self.engine.foreign_ports[port] = "process nginx (pid 42)"
            case "records" if not self._passing:
                self.story.tell("world", "the history is lost")
                self.records = MemoryRecords()
                for judge in self.judges.values():
                    judge.lose_history()
                self._begin_controller()

    # The end

    def _check_service(self, name: str) -> None:
        self.wish, self._stack, self.judge = self.wishes[name], self._stacks[name], self.judges[name]
        self._check_end()

    def _check_pool(self, stack: Stack, replicas: set[str]) -> None:
        if stack.routed is None:
            super()._check_pool(stack, replicas)
            return
        serving = self.doors.written(stack)
        if not serving <= replicas or len(serving) != stack.serving:
            raise Violation(f"the pools name {sorted(serving)}, but the replicas are {sorted(replicas)}")
        for door in self.doors.of(stack):
            names = set(door.workers[0].servers)
            if names != serving or not door.is_led:
                raise Violation(
                    f"{stack.name} has {sorted(names)} in {door.container}, not {sorted(serving)}"
                )

    def _check_gateway(self, name: str) -> None:
        wish, table = self.gateway_wishes[name], self.tables()[name]
        accepting = self.gateway_judge.accepting(name)
        if len(accepting) != wish.replicas:
            raise Violation(f"{len(accepting)} HAProxies of {name} take connections, {wish.replicas} wanted")
        if left := [
            c.name for c in self._proxies_of(name) if not any(c.id == p.container for p in accepting)
        ]:
            raise Violation(f"left over: {', '.join(left)}")
        there = self.gateways.directory(self.mine.directory(name))
        if there.slots != tuple(sorted(process.slot for process in accepting)):
            raise Violation(f"slots {there.slots} of {name} are named to services")
        needs = set(needs_of(table).values())
        if set(there.held) != needs:
            raise Violation(f"{name} holds pools for {set(there.held) ^ needs} too many or too few")
        joined = {f"{service_project(service)}_{VAULT_NET}" for service in table.services.values()}
        for container in self.machine.containers.values():
            if container.project == project_of(name) and container.role is Role.GATEWAY and container.is_up:
                strange = {network for network in container.addresses if network.endswith(f"_{VAULT_NET}")}
                if strange - joined:
                    raise Violation(f"{container.name} is in {strange - joined}, of services without a route")
        for process in accepting:
            self._check_haproxy(name, process, there.maps, set(there.held.values()))

    def _check_haproxy(
        self, name: str, process: MemoryProcess, maps: Mapping[str, Any], held: set[str]
    ) -> None:
        worker = process.workers[0]
        if worker.maps != maps:
            raise Violation(f"HAProxy {process.slot} of {name} has other maps than the files say")
        busy = {pool for pool, servers in worker.pools.items() if servers}
        if busy - held:
            raise Violation(f"pools {busy - held} of {name} have servers, and no service")
        table = self.tables()[name]
        for host, path in requests_of(SERVICES):
            answer = self.gateways.request(
                project_of(name), process.container, host, path, 0.0, self.random.choice
            )
            self.gateway_judge.answered(name, host, path, answer)
            route = matched(table, host, path)
            if (answer.route if answer else None) != route:
                raise Violation(f"{host}{path} is led to {answer}, not to {route}")
            if answer and answer.pool and bool(answer.server) == (route in table.stopped):
                had = "a" if answer.server else "no"
                raise Violation(f"{host}{path} has {had} server in HAProxy {process.slot} of {name}")

    def _proxies_of(self, name: str) -> list[MemoryContainer]:
        return [c for c in self.machine.of(project_of(name)) if c.role is Role.PROXY]


def matched(table: Table, host: str, path: str) -> str | None:
    """The route that a request should have."""
    from reconciler.core.routes.match import match

    return match(table, host, path)
