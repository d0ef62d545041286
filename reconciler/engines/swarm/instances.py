"""The instances of all objects on all nodes of a Swarm, and the containers of the front door on this one.

Swarm gives logs from each node. Use of the machine and commands are asked of an engine, and that of another node cannot be
asked from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.api.errors import PermanentError
from reconciler.core import labels
from reconciler.core.assess.observation import Container
from reconciler.engines.base import EngineEvent
from reconciler.engines.compose.instances import ComposeInstances
from reconciler.engines.compose.streams import Command
from reconciler.engines.errors import EngineError
from reconciler.engines.instances import Instance, LogOptions, Usage
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.marks import is_instance
from reconciler.engines.swarm.rows import FAILED, LIVE, newest_first, read_instances
from reconciler.engines.swarm.spec import SECOND
from reconciler.engines.swarm.watch import watched

__all__ = ["SwarmInstances", "container_here"]

Row = Mapping[str, Any]


class SwarmInstances:
    """The instances of all objects. Threads may share it."""

    def __init__(self, api: SwarmApi, front: ComposeInstances, own: Callable[[], str]) -> None:
        self._api = api
        self._front = front
        self._own = own

    def all(self) -> Sequence[Instance]:
        """All of them; by one request each for services, tasks and nodes, and those for this node's containers."""
        nodes = self._api.nodes(self._own())
        services, tasks = self._api.labelled_services(labels.SERVICE), self._api.all_tasks()
        rows = {service["ID"]: service for service in services}
        by_service: dict[str, list[Row]] = {}
        for task in tasks:
            if task.get("ServiceID") in rows:
                by_service.setdefault(task["ServiceID"], []).append(task)
        mine = [task for found in by_service.values() for task in found]
        found = [
            _instance(container, rows[container.id], by_service.get(container.id, []))
            for container in read_instances(services, mine, nodes, {})
        ]
        here = next((node.name for node in nodes.values() if node.is_own), "")
        found += (replace(each, node=here, is_pinned=True) for each in self._front.all())
        return sorted(found, key=lambda each: each.name)

    def changes(self) -> Iterator[None]:
        """Yields whenever `all` may answer another thing, without end."""
        here = (EngineEvent("") for _ in self._front.changes())
        for _ in watched(lambda: here, self._api):
            yield

    def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        """What those have used that run on this node."""
        tasks = [task for task in self._api.all_tasks() if task.get("ServiceID") in ids]
        found = {
            container: task["ServiceID"]
            for task in tasks
            if task.get("NodeID") == self._own() and (container := _container(task))
        }
        others = {each: each for each in ids if not is_instance(each)}
        names = {**found, **others}
        return {names[container]: usage for container, usage in self._front.usage(names).items()}

    def machine_usage(self) -> Usage | None:
        """Of this node, if the engine is here."""
        return self._front.machine_usage()

    async def log(self, instance: Instance, options: LogOptions) -> AsyncIterator[bytes]:
        """The log of one, from whichever node."""
        target = "/containers/{}/logs"
        identifier = instance.id
        if is_instance(identifier):
            # In a thread: others are served meanwhile, also while the Swarm has no leader and gives no answer.
            tasks = await asyncio.to_thread(self._api.tasks, "", identifier)
            told = [task for task in newest_first(tasks) if _container(task)]
            if not told:
                return
            target, identifier = "/tasks/{}/logs", told[0]["ID"]
        async for piece in self._front.lines(target, identifier, options, instance.has_terminal):
            yield piece

    async def execute(self, instance: Instance, command: Sequence[str], *, stdin: bool, tty: bool) -> Command:
        """Start a command in one of this node. Raises PermanentError for another node."""
        if is_instance(instance.id):
            container = await asyncio.to_thread(lambda: container_here(self._api, instance.id, self._own()))
            instance = replace(instance, id=container)
        return await self._front.execute(instance, command, stdin=stdin, tty=tty)


def container_here(api: SwarmApi, identifier: str, own: str) -> str:
    """The ID of the container in which an instance runs. Raises PermanentError if that is on another node than `own`,
    EngineError if it does not run.
    """
    for task in newest_first(api.tasks("", identifier)):
        if task["Status"]["State"] in LIVE and (container := _container(task)):
            if task.get("NodeID") == own:
                return container
            node = api.nodes().get(task["NodeID"])
            name = node.name if node else task["NodeID"]
            raise PermanentError(f"it runs on node {name}: there, `docker exec {container[:12]}` does it")
    raise EngineError("it does not run")


def _container(task: Row) -> str:
    return str((task["Status"].get("ContainerStatus") or {}).get("ContainerID") or "")


def _instance(container: Container, service: Row, tasks: Sequence[Row]) -> Instance:
    try:
        return _read(container, service, newest_first(tasks))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(f"a service of the Swarm was not understood: {error!r}") from error


def _read(container: Container, service: Row, tasks: Sequence[Row]) -> Instance:
    spec = service["Spec"]
    of_task = spec["TaskTemplate"]
    limits = (of_task.get("Resources") or {}).get("Limits") or {}
    newest = tasks[0] if tasks else {"Status": {}}
    ended = [task for task in tasks if task["Status"]["State"] in FAILED]
    return Instance(
        id=container.id,
        name=container.name,
        label=spec["Labels"][labels.SERVICE],
        workload=container.workload,
        role=container.role,
        revision=container.revision,
        image=str(of_task["ContainerSpec"].get("Image") or ""),
        state=container.state,
        health=container.health,
        created=container.created,
        started=container.started,
        # Its first lines come before Swarm calls it running.
        begun=str(newest.get("CreatedAt") or ""),
        finished=container.ended,
        exit_code=container.exit_code or 0,
        problem=str(newest["Status"].get("Err") or ""),
        restarts=len(ended),
        addresses=tuple(address for _, address in sorted(container.addresses.items())),
        ports=(container.port,) if container.port else (),
        cpus=int(limits.get("NanoCPUs") or 0) / SECOND,
        memory=int(limits.get("MemoryBytes") or 0),
        has_terminal=bool(of_task["ContainerSpec"].get("TTY")),
        node=container.node,
        is_pinned=container.pinned,
    )
