"""A container engine in memory: a fake of the real one.

It reproduces what Compose and Docker do to a project, including pitfalls: a scale that is too low removes containers,
addresses are reused, a crashed container is restarted with another address, a pending stop is lost when the controller
dies. Tests and simulations plan, create and kill against it thousands of times a second.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Final

from reconciler.core.assess.capabilities import USUAL, EngineCapabilities
from reconciler.core.assess.former import with_former
from reconciler.core.assess.observation import Container, EngineObservation, Health, Pull, State
from reconciler.core.compose.mounts import read_mounts
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.plan.gateway_operations import DisconnectNetwork
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas
from reconciler.engines.base import Command, EngineEvent, EngineInfo, is_published, shortened
from reconciler.engines.errors import EngineAwayError, EngineError, ImageMissingError
from reconciler.engines.memory.machine import Behaviour, Machine, MemoryContainer
from reconciler.engines.memory.nodes import MemoryNodes

LOOK_SECONDS: Final = 0.02
"""How often `events` checks for changes."""

Behave = Callable[[Stack, Workload], Behaviour]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command: its exit code, its output, and its duration."""

    code: int = 0
    printed: str = ""
    seconds: float = 0.1


def answers_after_boot(stack: Stack, workload: Workload) -> Behaviour:
    """A web server with a health check; proxies leave when they have no session, the gateway never by itself."""
    match workload.role:
        case Role.GATEWAY:
            return Behaviour(boot=0.0, checked=False, stop=0.0)
        case Role.PROXY:
            return Behaviour(boot=0.1, checked=False, stop=inf)
    return Behaviour(life=1.0, exit_code=0, checked=False) if workload.one_shot else Behaviour()


class MemoryEngine:
    """Implements reconciler.engines.base.Engine over a Machine; `behave` says how new containers behave.

    With `capabilities` it is another kind of engine: one that starts what it creates.
    """

    def __init__(
        self,
        machine: Machine,
        behave: Behave = answers_after_boot,
        capabilities: EngineCapabilities = USUAL,
    ) -> None:
        self.machine = machine
        self.capabilities: Final = capabilities
        self.answer: Callable[[Command], Answer] = lambda command: Answer()
        self.away = False
        """Whether it does not answer."""
        self.volumes: set[str] = set()
        self.anonymous_volumes: set[str] = set()
        self.left_volumes: list[tuple[Role, str]] = []
        """The containers that were removed without their anonymous volumes: role and name."""
        self.missing_images: set[str] = set()
        self.unpullable: set[str] = set()
        self.pull_seconds = 0.0
        self.image_ids: dict[str, str] = {}
        self.image_volumes: dict[str, tuple[str, ...]] = {}
        self.image_digests: dict[str, frozenset[str]] = {}
        self._pulling: dict[str, float] = {}
        self._unpulled: set[str] = set()
        self.foreign_ports: dict[int, str] = {}
        self.nodes = MemoryNodes(machine)
        self._behave = behave
        self._created = 0
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()

    # Observing

    def observe(self, stack: Stack) -> EngineObservation:
        """See Engine.observe."""
        self.ping()
        own = tuple(self._seen(container) for container in self.machine.of(stack.project))
        former = (self.machine.containers.get(each.container) for each in stack.former)
        containers = with_former(stack, own, [self._seen(each) for each in former if each])
        is_open = is_published(stack, containers)
        self._settle_pulls()
        missing = frozenset(w.image for w in stack.workloads if w.image in self.missing_images)
        return EngineObservation(
            containers=containers,
            missing_images=missing,
            images={w.image: self._image_id(w.image) for w in stack.workloads if w.image not in missing},
            volumes={image: paths for image, paths in self.image_volumes.items() if image not in missing},
            digests={image: found for image, found in self.image_digests.items() if image not in missing},
            pulls=self._seen_pulls(missing),
            taken_ports={} if is_open else self._taken(stack),
            drained=self.nodes.drained,
            capabilities=self.capabilities,
        )

    def _seen(self, container: MemoryContainer) -> Container:
        """What Docker reports about it; cached, since most containers do not change between two observations."""
        is_up, told = container.is_up, container.told
        pinned = bool(container.node) and self.nodes.is_pinned(container)
        health = container.health(self.machine.clock()) if is_up else Health.NONE
        started = container.started_at if is_up else None
        ended = container.ended_at if container.state is State.EXITED else None
        if (
            told is not None
            and told.state is container.state
            and told.health is health
            and told.started is started
            and told.ended is ended
            and told.exit_code == container.exit_code
            and told.stopping is container.stopping
            and told.addresses == container.addresses
            and told.node == container.node
            and told.pinned is pinned
        ):
            return told
        container.told = Container(
            id=container.id,
            name=container.name,
            workload=container.workload,
            role=container.role,
            revision=container.revision,
            state=container.state,
            health=health,
            # Docker reports whole seconds.
            created=container.created.replace(microsecond=0),
            number=container.number,
            addresses=dict(container.addresses),
            port=container.port,
            exit_code=container.exit_code,
            started=started,
            ended=ended,
            slot=container.slot,
            joined=container.joined,
            namespace=container.namespace,
            shared=tuple(id for id in (container.pid, container.ipc) if id) or None,
            stopping=container.stopping,
            image=container.image,
            published=container.published,
            node=container.node,
            pinned=pinned,
        )
        return container.told

    def _taken(self, stack: Stack) -> dict[int, str]:
        found = {port: self.foreign_ports[port] for port in stack.host_ports if port in self.foreign_ports}
        for port in stack.host_ports:
            owner = self.machine.owner(port)
            if owner and owner.project != stack.project:
                found.setdefault(port, f"container {owner.name} of project {owner.project!r}")
        return found

    # Changing

    def pull(self, image: str) -> None:
        """See Engine.pull; it takes `pull_seconds`, and an `unpullable` image fails at the end."""
        self._settle_pulls()
        if image in self._unpulled:
            self._unpulled.discard(image)
            raise ImageMissingError(f"image {image} is not on this machine and cannot be pulled")
        self._pulling.setdefault(image, self.machine.clock() + self.pull_seconds)

    def _image_id(self, image: str) -> str:
        return self.image_ids.get(image, f"sha256:{image}")

    def _settle_pulls(self) -> None:
        for image, moment in tuple(self._pulling.items()):
            if moment <= self.machine.clock():
                del self._pulling[image]
                if image in self.unpullable:
                    self._unpulled.add(image)
                else:
                    self.missing_images.discard(image)

    def _seen_pulls(self, images: frozenset[str]) -> dict[str, Pull]:
        running = {image: Pull(running=True) for image in images & self._pulling.keys()}
        return running | {
            image: Pull(running=False, error="no such image", lasting=True)
            for image in images & self._unpulled
        }

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """See Engine.create; like Compose it takes the total number of containers, and removes surplus ones."""
        self.ping()
        for request in requests:
            workload = _named(stack, request.workload)
            if workload.image in self.missing_images:
                raise EngineError(f"docker compose: No such image: {workload.image}")
            for volume in stack.document.get("volumes", {}):
                self.volumes.add(f"{stack.project}_{volume}")
            count = request.count if isinstance(request, CreateReplicas) else 1
            mine = sorted(self._containers(stack, workload.name), key=lambda c: c.number)
            for surplus in mine[request.existing + count :]:
                self.machine.remove(surplus)
            for _ in range(request.existing + count - len(mine)):
                proxy = request if isinstance(request, CreateProxy) else None
                self._create(stack, workload, proxy, request.image)

    def recreate(self, stack: Stack, workload: str, image: str = "") -> None:
        """See Engine.recreate."""
        self.ping()
        former = sorted(self._containers(stack, workload), key=lambda container: container.number)
        for container in former:
            self.machine.remove(container)
        for number in range(_named(stack, workload).replicas):
            mounts = former[number].mounts if number < len(former) else {}
            self._create(stack, _named(stack, workload), None, image, mounts=mounts)

    def connect(self, stack: Stack, request: ConnectNetwork) -> None:
        """See Engine.connect."""
        self.ping()
        found = self.machine.containers.get(request.container)
        if found is None:
            raise EngineError(f"connect a container to a network: No such container: {request.container}")
        if request.network not in found.addresses:
            self.machine.attach(found, request.network)

    def disconnect(self, stack: Stack, request: DisconnectNetwork) -> None:
        """See Engine.disconnect."""
        self.ping()
        if found := self.machine.containers.get(request.container):
            found.networks -= {request.network}
            self.machine.detach(found, request.network)

    def networks(self, names: Collection[str]) -> frozenset[str]:
        """See Engine.networks; those of containers that exist do."""
        self.ping()
        there = {f"{c.project}_{each}" for c in self.machine.containers.values() for each in c.networks}
        return frozenset(there.intersection(names))

    def start(self, containers: tuple[str, ...]) -> None:
        """See Engine.start."""
        self.ping()
        for id in containers:
            if found := self.machine.containers.get(id):
                self._start(found)

    def _start(self, container: MemoryContainer) -> None:
        if container.is_up:
            return
        for port in sorted(container.published):
            if self.machine.owner(port) or port in self.foreign_ports:
                raise EngineError(f"start a container: port {port} is already allocated")
        owners = [self.machine.containers.get(id) for id in container.owners]
        if None in owners:
            # The engine says "no such container", as if the container itself were missing.
            return
        if not all(owner and owner.is_up for owner in owners):
            raise EngineError("start a container: cannot join network of a non running container")
        self.machine.start(container)

    def stop(self, containers: tuple[str, ...], grace: float) -> None:
        """See Engine.stop."""
        for container in containers:
            if found := self.machine.containers.get(container):
                self.machine.stop(found, grace)

    def remove(self, containers: tuple[str, ...], *, anonymous_volumes: bool = False) -> None:
        """See Engine.remove; like Docker's forced removal it kills a running container."""
        self.ping()
        for container in containers:
            if found := self.machine.containers.get(container):
                self._remove(found, anonymous_volumes=anonymous_volumes)

    def _remove(self, container: MemoryContainer, *, anonymous_volumes: bool) -> None:
        self.machine.remove(container)
        if anonymous_volumes:
            self.anonymous_volumes.difference_update(container.mounts.values())
        else:
            self.left_volumes.append((container.role, container.name))

    def run_once(self, command: Command) -> None:
        """See Engine.run_once; `answer` gives the result, without taking time."""
        self.ping()
        if command.image in self.missing_images:
            raise EngineError(f"the engine could not create a container: No such image: {command.image}")
        done = self.answer(command)
        if done.seconds > command.longest:
            words = " ".join(command.words)
            raise EngineError(f"{words} in {command.image} took longer than {command.longest:g} s")
        if done.code:
            said = shortened(done.printed)
            raise EngineError(
                said or f"{command.words[0]} in {command.image} ended with exit code {done.code}"
            )

    def tear_down(self, project: str, *, volumes: bool) -> None:
        """See Engine.tear_down."""
        self.ping()
        for container in list(self.machine.of(project)):
            self._remove(container, anonymous_volumes=volumes or container.role is Role.WEB)
        for other in list(self.machine.containers.values()):
            for network in [each for each in other.networks if each.startswith(f"{project}_")]:
                other.networks -= {network}
                self.machine.detach(other, network)
        if volumes:
            self.volumes = {volume for volume in self.volumes if not volume.startswith(f"{project}_")}

    def sweep(self) -> None:
        """See Engine.sweep; nothing is ever left behind."""
        self.ping()

    # Reporting

    def logs(self, container: str, lines: int) -> str:
        """See Engine.logs."""
        self.ping()
        found = self.machine.containers.get(container)
        return "".join(found.printed.splitlines(keepends=True)[-lines:]) if found else ""

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """See Engine.follow; a container only prints when it starts."""
        yield from self.logs(container, lines).splitlines()

    def events(self) -> Iterator[EngineEvent]:
        """See Engine.events; the stream is never cut."""
        self.machine.subscribe(self._events.put)
        yield EngineEvent("")
        while True:
            try:
                yield EngineEvent(self._events.get(timeout=LOOK_SECONDS))
            except queue.Empty:
                self.machine.settle()

    def ping(self) -> None:
        """See Engine.ping."""
        if self.away:
            raise EngineAwayError("the engine in memory does not answer")

    def info(self) -> EngineInfo:
        """See Engine.info."""
        self.ping()
        return EngineInfo(
            name="memory",
            version="1",
            operating_system="memory",
            data_directory="/",
            outlives_restart=True,
            networks_left=1000,
        )

    def _containers(self, stack: Stack, workload: str) -> list[MemoryContainer]:
        return [c for c in self.machine.of(stack.project) if c.workload == workload]

    def _create(
        self,
        stack: Stack,
        workload: Workload,
        proxy: CreateProxy | None,
        image: str = "",
        mounts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._created += 1
        number = 1 + max((c.number for c in self._containers(stack, workload.name)), default=0)
        service = stack.document["services"][workload.name]
        restart = service.get("restart", "no")
        volumes = {
            mount.target: f"{stack.project}_{mount.source}"
            if mount.source
            else f"anonymous-{self._created}-{at}"
            for at, mount in enumerate(read_mounts(service.get("volumes")))
            if not mount.is_bind
        } | dict(mounts)
        self.anonymous_volumes |= set(volumes.values()) - self.volumes
        made = MemoryContainer(
            id=f"{self._created:012x}".ljust(64, "0"),
            name=f"{stack.project}-{workload.name}-{number}",
            service=stack.label,
            project=stack.project,
            workload=workload.name,
            role=workload.role,
            revision=workload.revision,
            behaviour=self._behave(stack, workload),
            number=number,
            image=image or self._image_id(workload.image),
            created=self.machine.now(),
            networks=workload.networks,
            restarts=restart in ("always", "unless-stopped"),
            port=workload.port,
            slot=proxy.slot if proxy else None,
            joined=(proxy.gateway or None) if proxy else self._owner(stack, service.get("network_mode")),
            pid=self._owner(stack, service.get("pid")),
            ipc=self._owner(stack, service.get("ipc")),
            namespace=proxy.namespace if proxy else None,
            published=frozenset(stack.host_ports if workload.role is Role.GATEWAY else ()),
            mounts=volumes,
        )
        self.machine.add(made)
        if not self.capabilities.creates_stopped:
            self._start(made)

    def _owner(self, stack: Stack, mode: object) -> str | None:
        """The container that a `service:NAME` means to Compose: the first one of it, which has to exist."""
        kind, _, name = str(mode or "").partition(":")
        if kind != "service":
            return None
        mine = self._containers(stack, name)
        if not mine:
            raise EngineError(f"docker compose: service {name!r} has no container to share a namespace of")
        return min(mine, key=lambda container: container.number).id


def _named(stack: Stack, name: str) -> Workload:
    return next(workload for workload in stack.workloads if workload.name == name)
