"""Swarm's services and tasks as containers of the core: an instance is a service, its newest task says how it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from reconciler.core import labels
from reconciler.core.assess.observation import Container, Health, State
from reconciler.engines.compose.rows import read_role, read_time
from reconciler.engines.errors import EngineError
from reconciler.engines.swarm.marks import CHECKED, IMAGE, NUMBER, STOPPED, WORKLOAD
from reconciler.engines.swarm.moments import AS_WRITTEN, When

__all__ = ["Node", "newest_first", "read_instances", "read_nodes"]

Row = Mapping[str, Any]

AWAITED: Final = ("assigned", "accepted", "preparing", "ready", "starting")
"""States of a task on a node, before its container runs and its health check agrees."""
LIVE: Final = ("new", "pending", *AWAITED, "running")
FAILED: Final = ("complete", "failed", "rejected")
"""States of a task that ended by itself."""
DOWN: Final = "down"


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the Swarm. `names` maps what a placement constraint can ask for to its value here."""

    id: str
    name: str
    is_up: bool
    takes_tasks: bool
    names: Mapping[str, str]


def read_nodes(rows: Iterable[Row]) -> Mapping[str, Node]:
    """The nodes by their IDs. Raises EngineError."""
    try:
        return {row["ID"]: _node(row) for row in rows}
    except (AttributeError, LookupError, TypeError) as error:
        raise EngineError(f"a node of the engine's list was not understood: {error!r}") from error


def _node(row: Row) -> Node:
    spec, description = row["Spec"], row.get("Description") or {}
    name = str(description.get("Hostname") or row["ID"])
    platform, engine = description.get("Platform") or {}, description.get("Engine") or {}
    return Node(
        id=row["ID"],
        name=name,
        is_up=(row.get("Status") or {}).get("State") == "ready",
        takes_tasks=spec.get("Availability") == "active",
        names={
            "node.id": row["ID"],
            "node.hostname": name,
            "node.role": str(spec.get("Role")),
            "node.platform.os": str(platform.get("OS")),
            "node.platform.arch": str(platform.get("Architecture")),
            **{f"node.labels.{key}": str(value) for key, value in (spec.get("Labels") or {}).items()},
            **{f"engine.labels.{key}": str(value) for key, value in (engine.get("Labels") or {}).items()},
        },
    )


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
        node=_node_name(seen.task, nodes),
    )


def _unwanted(service: Row, tasks: Sequence[Row], nodes: Mapping[str, Node]) -> _Seen:
    """An instance that is to run no task: it stops, has stopped, or was never started."""
    for task in tasks:
        if _lives(task, nodes) and task["Status"]["State"] in (*AWAITED, "running"):
            return _Seen(State.RUNNING, _health(service, task), task, started=_since(task))
    if STOPPED in (service["Spec"].get("Labels") or {}):
        # Swarm forgets a task that it has stopped, and with it the exit code.
        return _Seen(State.EXITED, ended=read_time(service["UpdatedAt"]))
    return _Seen(State.CREATED)


def _wanted(service: Row, tasks: Sequence[Row], nodes: Mapping[str, Node]) -> _Seen:
    if not tasks:
        return _Seen(State.CREATED)
    newest, *former = tasks
    state = newest["Status"]["State"]
    if state in LIVE and not _lives(newest, nodes):
        # Swarm has not moved it yet.
        return _Seen(State.RUNNING, Health.UNHEALTHY, newest, started=_since(newest))
    if state in ("running", "starting"):
        return _Seen(State.RUNNING, _health(service, newest), newest, started=_since(newest))
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


def _node_name(task: Row | None, nodes: Mapping[str, Node]) -> str:
    node = nodes.get((task or {}).get("NodeID") or "")
    return node.name if node else ""
