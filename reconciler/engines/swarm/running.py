"""Whether an instance runs: its service is told to have one task, or none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.core.desired.stack import DEFAULT_STOP_GRACE
from reconciler.engines.errors import EngineError
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.marks import PINNED, PROJECT, RAN_ON, STOPPED, WORKLOAD
from reconciler.engines.swarm.rows import LIVE, newest_first
from reconciler.engines.swarm.spec import SECOND
from reconciler.engines.swarm.spreading import crowded, where_others_are

__all__ = ["LOOK_SECONDS", "start", "stop", "wait_until_ended"]

LOOK_SECONDS: Final = 0.05
"""Between two looks at tasks."""
START_SECONDS: Final = 10.0
"""For how long a start waits until Swarm has given each task its addresses; it takes a tenth of a second."""
PLACE_SECONDS: Final = 2.0
"""For how long an instance is kept off crowded nodes if Swarm can place it nowhere else."""
END_SECONDS: Final = 120.0
"""For how long the end of tasks is waited for, beyond their grace period."""

Row = Mapping[str, Any]


def start(api: SwarmApi, instances: Iterable[str]) -> None:
    """Have each instance run its task, and wait until Swarm has placed it in its networks."""
    started = [identifier for identifier in instances if _start(api, identifier)]
    _wait(lambda: _are_placed(api, started), START_SECONDS)


def _start(api: SwarmApi, identifier: str) -> bool:
    """Whether it is there."""
    row = api.service(identifier)
    if row is None:
        return False
    spec = row["Spec"]
    if spec["Mode"]["Replicated"].get("Replicas"):
        tasks = api.tasks("", identifier)
        if tasks and not any(task["Status"]["State"] in LIVE for task in tasks):
            # It has ended by itself, and Swarm was told to leave it so.
            api.change_service(identifier, _once_more)
        return True
    own = _constraints(spec)
    avoided = _avoided(api, row, own)
    if api.change_service(identifier, lambda old: _constrained(_with_a_task(old), [*own, *avoided])) is None:
        return False
    if avoided:
        _wait(lambda: _has_node(api, identifier), PLACE_SECONDS)
        # A task stays where it is when its constraints still allow that.
        api.change_service(identifier, lambda old: _constrained(old, own))
    return True


def _avoided(api: SwarmApi, row: Row, own: Sequence[str]) -> list[str]:
    """Constraints that spread the instances of a workload; none for what can run on one node only."""
    marks = row["Spec"].get("Labels") or {}
    if PINNED in marks:
        return []
    project, workload = marks.get(PROJECT, ""), marks.get(WORKLOAD)
    rows = api.services(project)
    siblings = [each["ID"] for each in rows if (each["Spec"].get("Labels") or {}).get(WORKLOAD) == workload]
    preferences = (row["Spec"]["TaskTemplate"].get("Placement") or {}).get("Preferences") or ()
    spread = [each["Spread"]["SpreadDescriptor"] for each in preferences if each.get("Spread")]
    others = where_others_are(row["ID"], siblings, api.tasks(project))
    return crowded(api.nodes().values(), own, spread, others) if others else []


def _has_node(api: SwarmApi, identifier: str) -> bool:
    return any(task.get("NodeID") for task in api.tasks("", identifier) if task["Status"]["State"] in LIVE)


def _are_placed(api: SwarmApi, services: Sequence[str]) -> bool:
    if not services:
        return True
    placed = {task["ServiceID"] for task in api.tasks("", *services) if task["Status"]["State"] != "new"}
    return placed.issuperset(services)


def _wait(is_over: Callable[[], bool], seconds: float) -> None:
    """Swarm tells no event of a task."""
    deadline = time.monotonic() + seconds
    while not is_over() and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def stop(api: SwarmApi, instances: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Have each instance run no task. Returns the containers that have to end by that, each after the ID of its node."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    stopped = tuple(instances)
    tasks = [task for task in newest_first(api.tasks("", *stopped) if stopped else ()) if task.get("NodeID")]
    nodes = {task["ServiceID"]: task["NodeID"] for task in reversed(tasks)}
    for identifier in stopped:
        node = nodes.get(identifier, "")
        api.change_service(identifier, lambda spec, node=node: _without_a_task(spec, now, node))  # type: ignore[misc]
    return tuple(
        (task["NodeID"], container)
        for task in tasks
        if task["Status"]["State"] in LIVE
        and (container := (task["Status"].get("ContainerStatus") or {}).get("ContainerID"))
    )


def wait_until_ended(api: SwarmApi, rows: Sequence[Row]) -> None:
    """Wait for the tasks of services that were stopped. Raises EngineError when it takes much longer than their grace
    period.
    """
    ids = [row["ID"] for row in rows]
    if not ids:
        return
    deadline = time.monotonic() + max(_grace(row["Spec"]) for row in rows) + END_SECONDS
    nodes = api.nodes()
    while True:
        tasks = [task for task in api.tasks("", *ids) if task["Status"]["State"] in LIVE]
        # A node that is down does not tell of their end.
        if not any((node := nodes.get(task.get("NodeID") or "")) is None or node.is_up for task in tasks):
            return
        if time.monotonic() > deadline:
            raise EngineError(f"{len(tasks)} tasks have not ended {END_SECONDS:g} s after their grace period")
        time.sleep(LOOK_SECONDS)


def _constraints(spec: Row) -> list[str]:
    return list((spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or ())


def _constrained(spec: dict[str, Any], constraints: Sequence[str]) -> dict[str, Any]:
    template = spec["TaskTemplate"]
    placement = {**(template.get("Placement") or {}), "Constraints": list(constraints)}
    return {**spec, "TaskTemplate": {**template, "Placement": placement}}


def _with_a_task(spec: dict[str, Any]) -> dict[str, Any]:
    ended = (STOPPED, RAN_ON)
    marks = {name: value for name, value in (spec.get("Labels") or {}).items() if name not in ended}
    return {**spec, "Labels": marks, "Mode": {"Replicated": {"Replicas": 1}}}


def _without_a_task(spec: dict[str, Any], now: str, node: str) -> dict[str, Any]:
    # The time of the first request stays.
    return {
        **spec,
        "Labels": {STOPPED: now, **({RAN_ON: node} if node else {}), **(spec.get("Labels") or {})},
        "Mode": {"Replicated": {"Replicas": 0}},
    }


def _once_more(spec: dict[str, Any]) -> dict[str, Any]:
    template = spec["TaskTemplate"]
    return {**spec, "TaskTemplate": {**template, "ForceUpdate": int(template.get("ForceUpdate") or 0) + 1}}


def _grace(spec: Row) -> float:
    return (
        float(spec["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod") or DEFAULT_STOP_GRACE * SECOND)
        / SECOND
    )
