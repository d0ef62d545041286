"""Swarm's services and tasks as containers of the core: an instance is a service, its newest task says how it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.core import labels
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Role
from reconciler.engines.compose.rows import read_role, read_time
from reconciler.engines.errors import EngineError
from reconciler.engines.nodes import Availability, Drain, Node
from reconciler.engines.swarm.marks import (
    CHECKED,
    DRAINED,
    DRAINED_PINNED,
    IMAGE,
    NUMBER,
    PINNED,
    RAN_ON,
    STOPPED,
    WORKLOAD,
)
from reconciler.engines.swarm.moments import AS_WRITTEN, When
from reconciler.engines.swarm.placement import satisfies
from reconciler.engines.swarm.spec import SECOND

__all__ = ["newest_first", "read_instances", "read_nodes"]

Row = Mapping[str, Any]

AWAITED: Final = ("assigned", "accepted", "preparing", "ready", "starting")
"""States of a task on a node, before its container runs and its health check agrees."""
LIVE: Final = ("new", "pending", *AWAITED, "running")
QUEUED: Final = ("new", "pending", "assigned", "accepted", "ready")
"""States of a task that has done nothing yet; the next one after a failure is for a while in these."""
FAILED: Final = ("complete", "failed", "rejected")
"""States of a task that ended by itself."""


def read_nodes(rows: Iterable[Row], own: str = "") -> Mapping[str, Node]:
    """The nodes by their IDs; `own` is that of the engine that was asked. Raises EngineError."""
    try:
        found = [_node(row, own) for row in rows]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(f"a node of the engine's list was not understood: {error!r}") from error
    times = Counter(node.name for node in found)
    # Swarm does not mind two nodes with one host name, but what is drained has to be one of them.
    return {
        node.id: node if times[node.name] == 1 else replace(node, name=f"{node.name}-{node.id[:6]}")
        for node in found
    }


def _node(row: Row, own: str) -> Node:
    spec, description = row["Spec"], row.get("Description") or {}
    platform, engine = description.get("Platform") or {}, description.get("Engine") or {}
    status, manager = row.get("Status") or {}, row.get("ManagerStatus")
    resources = description.get("Resources") or {}
    marks = {str(key): str(value) for key, value in (spec.get("Labels") or {}).items()}
    is_up = status.get("State") == "ready"
    hostname = str(description.get("Hostname") or row["ID"])
    return Node(
        id=row["ID"],
        name=hostname,
        hostname=hostname,
        is_up=is_up,
        availability=Availability(spec.get("Availability") or Availability.ACTIVE),
        drain=_drain(marks),
        problem="" if is_up else f"is {status.get('State')}: {status.get('Message') or 'no reason is given'}",
        is_own=row["ID"] == own,
        is_manager=spec.get("Role") == "manager",
        is_leader=bool(manager and manager.get("Leader")),
        is_reachable=manager.get("Reachability") == "reachable" if manager else None,
        address=_address(status, manager or {}),
        cpus=int(resources.get("NanoCPUs") or 0) // SECOND,
        memory=int(resources.get("MemoryBytes") or 0),
        platform=str(platform.get("OS")),
        architecture=str(platform.get("Architecture")),
        engine=str(engine.get("EngineVersion") or ""),
        labels=marks,
        engine_labels={str(key): str(value) for key, value in (engine.get("Labels") or {}).items()},
        since=read_time(row["CreatedAt"]) if row.get("CreatedAt") else None,
    )


def _drain(marks: Mapping[str, str]) -> Drain | None:
    """What the labels of a node ask for; one that was written by others may have any value."""
    if DRAINED not in marks:
        return None
    try:
        since = read_time(marks[DRAINED])
    except ValueError:
        since = datetime.fromtimestamp(0, UTC)
    return Drain(since, DRAINED_PINNED in marks)


def _address(status: Row, manager: Row) -> str:
    """Where other nodes reach it. The leader knows of itself only where it listens, which may be everywhere."""
    address = str(status.get("Addr") or "")
    listening = str(manager.get("Addr") or "").rpartition(":")[0].strip("[]")
    return listening if address in ("", "0.0.0.0", "::", "127.0.0.1") else address


def read_instances(
    services: Iterable[Row],
    tasks: Iterable[Row],
    nodes: Mapping[str, Node],
    networks: Mapping[str, str],
    when: When = AS_WRITTEN,
) -> tuple[Container, ...]:
    """The instances of a stack. `networks` maps the engine's names to those of the stack. Raises EngineError."""
    by_service: dict[str, list[Row]] = {}
    try:
        for task in tasks:
            by_service.setdefault(task["ServiceID"], []).append(task)
        return tuple(
            _read(service, newest_first(by_service.get(service["ID"], ())), nodes, networks, when)
            for service in services
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(f"a service of the Swarm was not understood: {error!r}") from error


def newest_first(tasks: Iterable[Row]) -> list[Row]:
    """Tasks of one service, the newest first."""
    return sorted(tasks, key=lambda task: (task["CreatedAt"], task["ID"]), reverse=True)


def newest_of_each(tasks: Iterable[Row]) -> list[Row]:
    """Of each service the newest task that has come to a node and is not only waiting for its turn."""
    found: dict[str, Row] = {}
    for task in newest_first(task for task in tasks if task["Status"]["State"] not in QUEUED):
        found.setdefault(task["ServiceID"], task)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Seen:
    """How an instance is: what its tasks come to."""

    state: State
    health: Health = Health.NONE
    task: Row | None = None
    exit_code: int | None = None
    started: datetime | None = None
    ended: datetime | None = None


def _read(
    service: Row, tasks: Sequence[Row], nodes: Mapping[str, Node], networks: Mapping[str, str], when: When
) -> Container:
    spec = service["Spec"]
    marks = spec.get("Labels") or {}
    is_wanted = bool(spec["Mode"]["Replicated"].get("Replicas"))
    seen = _wanted(service, tasks, nodes) if is_wanted else _unwanted(service, tasks, nodes)
    runs = seen.state is State.RUNNING
    # The same moment as long as the state of the task is the same.
    key = f"{service['ID']} {(seen.task or {}).get('ID', '')} {seen.started or seen.ended}"
    node = nodes.get((seen.task or {}).get("NodeID") or marks.get(RAN_ON, ""))
    return Container(
        id=service["ID"],
        name=spec["Name"],
        workload=marks.get(WORKLOAD, ""),
        role=read_role(marks.get(labels.ROLE)),
        revision=marks.get(labels.REVISION, ""),
        state=seen.state,
        health=seen.health,
        created=when.happened(service["ID"], read_time(service["CreatedAt"])).replace(microsecond=0),
        number=int(marks.get(NUMBER) or 0),
        addresses=_addresses(seen.task, networks) if runs and seen.task else {},
        port=int(marks[labels.PORT]) if marks.get(labels.PORT) else None,
        exit_code=seen.exit_code,
        started=when.started(key, seen.started) if seen.started else None,
        ended=when.happened(key, seen.ended) if seen.ended else None,
        stopping=not is_wanted and (runs or STOPPED in marks),
        image=marks.get(IMAGE, ""),
        node=node.name if node else "",
        pinned=PINNED in marks or _has_no_choice(spec, node, nodes),
    )


def _unwanted(service: Row, tasks: Sequence[Row], nodes: Mapping[str, Node]) -> _Seen:
    """An instance that is to run no task: it stops, has stopped, or was never started."""
    marks = service["Spec"].get("Labels") or {}
    # One that cannot be reached may go on, and no second run of it may begin beside the first one.
    is_job = read_role(marks.get(labels.ROLE)) is Role.JOB
    for task in tasks:
        if task["Status"]["State"] in (*AWAITED, "running") and (is_job or _lives(task, nodes)):
            return _running(service, task, nodes)
    if STOPPED in marks:
        # Swarm forgets a task that it has stopped, and with it the exit code.
        return _Seen(State.EXITED, ended=read_time(service["UpdatedAt"]))
    return _Seen(State.CREATED)


def _wanted(service: Row, tasks: Sequence[Row], nodes: Mapping[str, Node]) -> _Seen:
    if not tasks:
        return _Seen(State.CREATED)
    newest, *former = tasks
    state = newest["Status"]["State"]
    # On a node that is down, Swarm has not moved it yet.
    if state in ("running", "starting") or (state in LIVE and not _lives(newest, nodes)):
        return _running(service, newest, nodes)
    if state in LIVE:
        failed = next((task for task in former if task["Status"]["State"] in FAILED), None)
        if failed is not None and failed is former[0]:
            return _Seen(State.RESTARTING, task=failed, exit_code=_exit_code(failed))
        if state == "new":
            return _Seen(State.CREATED)
        return _Seen(State.RUNNING, Health.STARTING, newest, started=_since(newest))
    state_of_end = State.RESTARTING if _is_restarted(service, tasks) else State.EXITED
    ended = read_time(newest["Status"]["Timestamp"]) if state_of_end is State.EXITED else None
    return _Seen(state_of_end, task=newest, exit_code=_exit_code(newest), ended=ended)


def _running(service: Row, task: Row, nodes: Mapping[str, Node]) -> _Seen:
    health = _health(service, task) if _lives(task, nodes) else Health.UNHEALTHY
    return _Seen(State.RUNNING, health, task, started=_since(task))


def _lives(task: Row, nodes: Mapping[str, Node]) -> bool:
    """Whether it may run: what is on a node that is down does so no longer, as far as anyone can tell."""
    node = nodes.get(task.get("NodeID") or "")
    return task["Status"]["State"] in LIVE and (node is None or node.is_up)


def _is_restarted(service: Row, tasks: Sequence[Row]) -> bool:
    """Whether Swarm starts another task in the place of one that has ended."""
    policy = service["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    rule, attempts = policy.get("Condition") or "any", policy.get("MaxAttempts") or 0
    ended = [task for task in tasks if task["Status"]["State"] in FAILED]
    if rule == "none" or (attempts and len(ended) > attempts):
        return False
    return rule == "any" or _exit_code(tasks[0]) != 0


def _health(service: Row, task: Row) -> Health:
    if task["Status"]["State"] != "running":
        return Health.STARTING
    return Health.HEALTHY if CHECKED in (service["Spec"].get("Labels") or {}) else Health.NONE


def _exit_code(task: Row) -> int | None:
    status = task["Status"].get("ContainerStatus") or {}
    code = status.get("ExitCode")
    # It is left out when it is 0, and so it is for what never ran.
    return code if code is not None else 0 if task["Status"]["State"] == "complete" else None


def _since(task: Row) -> datetime:
    """When it came to run; for what does not run yet, when it was created."""
    is_up = task["Status"]["State"] == "running"
    return read_time(task["Status"]["Timestamp"] if is_up else task["CreatedAt"])


def _addresses(task: Row, networks: Mapping[str, str]) -> Mapping[str, str]:
    found = {}
    for each in task.get("NetworksAttachments") or ():
        name = each["Network"]["Spec"]["Name"]
        if each.get("Addresses"):
            found[networks.get(name, name)] = each["Addresses"][0].partition("/")[0]
    return found


def _has_no_choice(spec: Row, node: Node | None, nodes: Mapping[str, Node]) -> bool:
    """Whether no other node would take what is to leave this one."""
    if node is None or node.drain is None:
        return False
    constraints = (spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or ()
    others = (each for each in nodes.values() if each.is_up and each.takes_tasks and each is not node)
    return not any(satisfies(each, constraints) for each in others)
