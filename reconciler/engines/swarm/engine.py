"""An engine of instances on Docker Swarm: an instance is a service with one task, so that a plan chooses which one goes.

Swarm places a task, starts it again when it dies or its node does, and connects it. It is told to run an instance or not,
and never to update one: that is what plans do. Gateway and proxies are containers of Compose on the controller's node; see
front.py. What an instance is asked for is in its service, so each controller that comes later knows it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import PermanentError, VaultError
from reconciler.core.assess.capabilities import EngineCapabilities
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Stack, Workload
from reconciler.core.plan.gateway_operations import DisconnectNetwork
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas
from reconciler.engines.base import Command, EngineEvent, EngineInfo
from reconciler.engines.compose.api import CALL_SECONDS, DockerApi
from reconciler.engines.compose.cli import ComposeCli
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.compose.rows import network_names
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.swarm import logs, running
from reconciler.engines.swarm.agents import AgentServices
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.front import FRONT_ROLES, front_of, shared_networks
from reconciler.engines.swarm.fronts import Agents, SwarmFronts
from reconciler.engines.swarm.making import Former, Making
from reconciler.engines.swarm.marks import NUMBER, PINNED, WORKLOAD, is_instance
from reconciler.engines.swarm.moments import Moments
from reconciler.engines.swarm.networks import check_existing, network_spec
from reconciler.engines.swarm.removing import remove_project, remove_unused_files, remove_volumes
from reconciler.engines.swarm.rows import read_instances
from reconciler.engines.swarm.volumes import anonymous_of
from reconciler.engines.swarm.watch import watched

if TYPE_CHECKING:
    from reconciler.engines.swarm.instances import SwarmInstances
    from reconciler.engines.swarm.nodes import SwarmNodes

__all__ = ["SwarmEngine"]

_log = logging.getLogger(__name__)

Row = Mapping[str, Any]

EVERYWHERE: Final = ("", "0.0.0.0", "[::]")
"""Hosts to listen on that are no address by which a machine is reached."""


class SwarmEngine:
    """Docker Swarm, by one of its managers. Threads may share it."""

    capabilities: Final = EngineCapabilities(one_node=False)

    def __init__(
        self,
        host: str | None = None,
        allow: Callable[[], float] = lambda: CALL_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`allow` is asked before each change of the Swarm; see DockerApi. `now` is the clock that plans measure with."""
        self._moments = Moments(now)
        self._front = ComposeEngine(host)
        self._docker = DockerApi(host, allow=allow)
        # What is asked of a node is asked by a person, with a command that is no controller and has no lease.
        self._asked = DockerApi(host)
        self._api = SwarmApi(self._docker)
        self._cli = ComposeCli(self._docker.host)
        self._fronts: SwarmFronts | None = None

    @cached_property
    def _own_node(self) -> str:
        return self._api.own_node()

    @cached_property
    def instances(self) -> SwarmInstances:
        """Single instances, which only views of what runs need."""
        from reconciler.engines.swarm.instances import SwarmInstances

        return SwarmInstances(self._api, self._front.instances, lambda: self._own_node)

    @cached_property
    def nodes(self) -> SwarmNodes:
        """The nodes of the Swarm, which only views and verbs about them need."""
        from reconciler.engines.swarm.nodes import SwarmNodes

        return SwarmNodes(SwarmApi(self._asked), lambda: self._own_node)

    def image_id(self, name: str) -> str:
        """The ID of an image that was built on this machine. Raises PermanentError: other nodes do not have it."""
        raise PermanentError(
            f"{name} is built on this machine, and the other nodes of a Swarm cannot get it: push it to a registry, and "
            "name it by `image` without `build`"
        )

    def fronts(self, agents: Callable[[], Agents], image: str, controller: str) -> SwarmFronts:
        """The nodes that gateways run on. `agents` are made when they are first needed; `image` is theirs, `controller` the
        ADDRESS:PORT where they are enrolled, empty for nowhere; for one of all addresses that of this node is told.
        """
        services = AgentServices(self._api, image, partial(self._reached, controller)) if controller else None
        self._fronts = SwarmFronts(self._api, self._front, lambda: self._own_node, agents, services)
        return self._fronts

    def _reached(self, listen: str) -> str:
        host, _, port = listen.rpartition(":")
        if host not in EVERYWHERE:
            return listen
        own = self._api.nodes()[self._own_node].address
        return f"[{own}]:{port}" if ":" in own else f"{own}:{port}"

    def close(self) -> None:
        """Close all connections; requested stops continue in the Swarm."""
        for each in (self._front, self._docker, self._asked):
            each.close()

    # Observing

    def observe(self, stack: Stack) -> EngineObservation:
        """All instances of the project: one request each for services, tasks and nodes, and one for the front door."""
        front = self._front.observe(front_of(stack))
        for container in front.containers:
            if container.role not in FRONT_ROLES:
                raise RefusedError(
                    f"{container.name} runs on this host without the Swarm, so another one would run beside it: delete "
                    f"{stack.name!r} with the engine that made it, or go on with that engine"
                )
        nodes = self._api.nodes()
        services, tasks = self._api.services(stack.project), self._api.tasks(stack.project)
        with self._moments.look(stack.project) as when:
            instances = read_instances(services, tasks, nodes, network_names(stack), when)
        own = nodes.get(self._own_node)
        here = tuple(replace(container, node=own.name if own else "") for container in front.containers)
        drained = frozenset(node.name for node in nodes.values() if node.is_left)
        return replace(front, containers=(*instances, *here), drained=drained, capabilities=self.capabilities)

    # Changing

    def pull(self, image: str) -> None:
        """Fetch an image to this node; the others fetch it by its digest when a task of theirs needs it."""
        self._front.pull(image)

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """Create instances that run no task yet, and containers of the front door."""
        roles = {workload.name: workload.role for workload in stack.workloads}
        mine = [r for r in requests if isinstance(r, CreateReplicas) and roles[r.workload] not in FRONT_ROLES]
        if mine:
            self._create(stack, mine)
        if front := tuple(request for request in requests if request not in mine):
            self._ensure_networks(stack, self._cli.config(stack))
            self._front.create(front_of(stack), front)

    def _create(self, stack: Stack, requests: Sequence[CreateReplicas]) -> None:
        making = self._making(stack)
        present = self._numbers(stack.project)
        for request in requests:
            workload, numbers = _named(stack, request.workload), present.get(request.workload, [])
            for _ in range(request.existing + request.count - len(numbers)):
                number = max(numbers, default=0) + 1
                self._api.create_service(making.spec(workload, Former(number), request.image))
                numbers = [*numbers, number]
        remove_unused_files(self._api, stack.project)

    def recreate(self, stack: Stack, workload: str, image: str = "") -> None:
        """Give a workload's instance the current definition; it runs no task then, and keeps its volumes and its ID."""
        making = self._making(stack)
        row = next((row for row in self._api.services(stack.project) if _workload(row) == workload), None)
        if row is None:
            self._api.create_service(making.spec(_named(stack, workload), Former(), image))
            return
        marks = row["Spec"].get("Labels") or {}
        former = Former(int(marks.get(NUMBER) or 1), anonymous_of(row["Spec"]), marks.get(PINNED, ""))
        spec = making.spec(_named(stack, workload), former, image)
        self._api.change_service(row["ID"], lambda old: {**spec, "Name": old["Name"]})
        remove_unused_files(self._api, stack.project)

    def _making(self, stack: Stack) -> Making:
        if stack.former:
            raise RefusedError(
                f"{stack.name!r} was adopted from a Compose project, whose data is on one host; run it without the Swarm"
            )
        document = self._cli.config(stack)
        self._ensure_networks(stack, document)
        return Making(stack, document, self._api, self._api.nodes(), self._own_node)

    def _numbers(self, project: str) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row in self._api.services(project):
            number = int((row["Spec"].get("Labels") or {}).get(NUMBER) or 0)
            found.setdefault(_workload(row), []).append(number)
        return found

    def _ensure_networks(self, stack: Stack, document: Mapping[str, Any]) -> None:
        for name in sorted(shared_networks(stack)):
            body = document["networks"][name]
            found = self._api.network(body["name"])
            if found is not None:
                check_existing(found)
            else:
                self._api.create_network(network_spec(stack.project, name, body))

    def connect(self, stack: Stack, request: ConnectNetwork) -> None:
        """Connect a container of the front door to a network; Swarm itself connects the instances."""
        if is_instance(request.container):
            raise EngineError(f"Swarm has not connected {request.name} to {request.network} yet")
        self._ensure_networks(stack, self._cli.config(stack))
        self._front.connect(front_of(stack), request)

    def disconnect(self, stack: Stack, request: DisconnectNetwork) -> None:
        """Disconnect a container of the front door from a network."""
        self._front.disconnect(front_of(stack), request)

    def networks(self, names: Collection[str]) -> frozenset[str]:
        """Those of these networks that exist."""
        return self._front.networks(names)

    def start(self, containers: tuple[str, ...]) -> None:
        """Have each instance run its task, and wait until Swarm has placed it in its networks."""
        instances, others = _split(containers)
        if others:
            self._front.start(others)
        running.start(self._api, instances)

    def stop(self, containers: tuple[str, ...], grace: float) -> None:
        """Have each instance run no task. Swarm keeps to the grace period of the definition that it was created with, which
        is the one that plans ask for.
        """
        instances, others = _split(containers)
        if others:
            self._front.stop(others, grace)
        self._end_now(running.stop(self._api, instances), grace)

    def _end_now(self, containers: Sequence[tuple[str, str]], grace: float) -> None:
        """Stop the containers of tasks that Swarm ends, as far as their nodes are reached: it would wait for 2 s, in which
        its own load balancers forget a task, and what leads requests here has been told before.
        """
        if not containers:
            return
        try:
            others = self._fronts.reached() if self._fronts else {}
        except VaultError as error:
            _log.debug("Swarm ends the tasks by itself: %s", error)
            others = {}
        engines = {**others, self._own_node: self._front}
        for node, container in containers:
            if node in engines:
                engines[node].end(container, grace)

    def remove(self, containers: tuple[str, ...], *, anonymous_volumes: bool = False) -> None:
        """Remove instances by name; Swarm ends what still runs of them. Volumes without a name are removed if asked, as far
        as they are on this node.
        """
        instances, others = _split(containers)
        if others:
            self._front.remove(others, anonymous_volumes=anonymous_volumes)
        for identifier in instances:
            if (row := self._api.service(identifier)) is not None:
                self._api.remove_service(identifier)
                if anonymous_volumes:
                    remove_volumes(self._api, anonymous_of(row["Spec"]).values())

    def run_once(self, command: Command) -> None:
        """Run a command in a throw-away container on this node."""
        self._front.run_once(command)

    def sweep(self) -> None:
        """Remove throw-away containers of a controller that was killed."""
        self._front.sweep()

    def tear_down(self, project: str, *, volumes: bool) -> None:
        """Stop and remove the project: first the front door, then web replicas, then what they need. Volumes of other nodes
        stay, which a warning lists.
        """
        self._front.tear_down(project, volumes=volumes)
        remove_project(self._api, project, self._front.remove_network, self._own_node, volumes=volumes)

    # Reporting

    def logs(self, container: str, lines: int) -> str:
        """The last lines of the newest container of an instance; why it has none, if it never had one."""
        if is_instance(container):
            return logs.last(self._api, container, lines)
        return self._front.logs(container, lines)

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """The last lines of an instance, and every new one until it ends."""
        if is_instance(container):
            return logs.follow(self._api, container, lines)
        return self._front.follow(container, lines)

    def exec_line(self, container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> tuple[str, ...]:
        """The command line that runs a command in a container of this node. Raises PermanentError for another node."""
        if is_instance(container):
            from reconciler.engines.swarm.instances import container_here

            container = container_here(self._api, container, self._own_node)
        return self._front.exec_line(container, command, stdin=stdin, tty=tty)

    def events(self) -> Iterator[EngineEvent]:
        """Events of the front door and of instances, without end."""
        return watched(self._front.events, self._api)

    def ping(self) -> None:
        """Raises EngineAwayError when the engine does not answer."""
        self._front.ping()

    def directories(self) -> tuple[str, ...]:
        """The engine's directories of volumes and layers on this node."""
        return self._front.directories()

    def info(self) -> EngineInfo:
        """Facts about the engine of this node, and how many nodes the Swarm has."""
        nodes = self._api.nodes().values()
        up = sum(node.is_up for node in nodes)
        return replace(self._front.info(), name=f"Docker Swarm ({up} of {len(nodes)} nodes up)")


def _split(identifiers: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Instances, and containers of the front door."""
    every = tuple(identifiers)
    return tuple(e for e in every if is_instance(e)), tuple(e for e in every if not is_instance(e))


def _named(stack: Stack, name: str) -> Workload:
    return next(workload for workload in stack.workloads if workload.name == name)


def _workload(row: Row) -> str:
    return str((row["Spec"].get("Labels") or {}).get(WORKLOAD, ""))
