"""The plan of an adoption: what is taken over, in which order, and for how long each service is away.

All that cannot be adopted is refused at once and by name, before anything was changed. A service that is refused here would
lose data, or run what its Compose file does not say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any, Final

from reconciler.core.adoption.found import FoundContainer, FoundProject
from reconciler.core.adoption.record import Adoption, FormerContainer
from reconciler.core.assess.observation import State
from reconciler.core.compose.project import Kept
from reconciler.core.desired.stack import Role, Stack, Workload

OPENING_SECONDS: Final = 5.0
"""About how long a port stays closed from the end of the container that had it until HAProxy listens on it: three seconds
on an idle machine of two cores."""

SHARED: Final = ("network_mode", "pid", "ipc")


@dataclass(frozen=True, slots=True)
class Takeover:
    """What happens to one service. `refused`: for about how many seconds its port is closed; `held`: whether requests
    wait in HAProxy meanwhile; `stops`: how long the former containers may take to end, at most.
    """

    service: str
    role: str
    containers: tuple[str, ...]
    refused: float
    held: bool
    stops: float
    text: str

    def __str__(self) -> str:
        return f"{self.service} ({self.role}): {self.text}"


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """The whole plan; `notes` say what will be otherwise than in the project."""

    record: Adoption
    takeovers: tuple[Takeover, ...]
    notes: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """As data, for `-o json`."""
        record = self.record
        return {
            "project": record.project,
            "name": record.name,
            "manifest": record.manifest,
            "stage": str(record.stage),
            "volumes": sorted(record.volumes),
            "networks": sorted(record.networks),
            "steps": [
                {
                    "service": each.service,
                    "role": each.role,
                    "containers": list(each.containers),
                    "refusedSeconds": each.refused,
                    "requestsWait": each.held,
                    "stopsWithinSeconds": each.stops,
                    "text": each.text,
                }
                for each in self.takeovers
            ],
            "notes": list(self.notes),
        }


def refusals(
    found: FoundProject, document: Mapping[str, Any], kept: Kept, left: Collection[str] = ()
) -> Iterator[str]:
    """Why a project cannot be adopted. `document` is its Compose file as Compose reads it, `kept` are the volumes that it
    names; the data in other volumes of the services `left` may stay behind.
    """
    services: Mapping[str, Mapping[str, Any]] = document.get("services") or {}
    for container in found.containers:
        yield from (f"{container.name}: {text}" for text in _against(container, found, services, kept, left))
    for name, body in services.items():
        for key in SHARED:
            if str(body.get(key) or "").startswith(("service:", "container:")):
                yield (
                    f"services.{name}.{key}: it shares a namespace of another container, which a container that is started "
                    "beside it cannot; adopt the project without it, or start anew with `vaultctl init --from-compose`"
                )


def _against(
    container: FoundContainer,
    found: FoundProject,
    services: Mapping[str, Mapping[str, Any]],
    kept: Kept,
    left: Collection[str],
) -> Iterator[str]:
    service = container.service
    if service not in services:
        yield (
            f"service {service} is not in the present Compose file; name its profile with --profile, or remove the "
            f"container (docker rm -f {container.name})"
        )
        return
    wanted = found.hashes.get(service, "")
    if wanted and wanted != container.hash and container.version == found.version:
        yield (
            f"it does not run what services.{service} of the present Compose file says; run "
            f"`docker compose up -d {service}` first, and write variables of your shell into .env"
        )
    # One that is done leaves nothing.
    if service in left or (container.state is State.EXITED and container.exit_code == 0):
        return
    for mount in container.mounts:
        if mount.volume not in kept.volumes and found.sizes.get(mount.volume, -1):
            yield (
                f"{mount.target} is an anonymous volume with data, which belongs to this container only; name the volume "
                f"in the Compose file and copy the data, or leave it behind with --leave {service}"
            )


def plan_adoption(
    found: FoundProject, stack: Stack, draft: Adoption, *, waits: bool, http: int, free_port: int
) -> AdoptionPlan:
    """The plan for a project that is not refused. `stack` is what the service comes to once it is adopted; `draft` has what
    the record says from the beginning. `waits`: two containers of the web service must not write at once. `http` is the
    port that HAProxy listens on, `free_port` one that it can have until then.
    """
    workloads = {workload.name: workload for workload in stack.workloads}
    web = workloads[draft.web]
    old = found.of(web.name)
    has_port = any(http in each.ports.values() for each in found.containers)
    order = tuple(name for name in _in_order(stack) if found.of(name))
    counted = [w for w in stack.workloads if w.role in (Role.DEPENDENCY, Role.JOB) and found.of(w.name)]
    record = replace(
        draft,
        waits=waits and bool(old),
        beside=free_port if has_port and not waits else 0,
        order=order,
        former=tuple(_former(each, workloads[each.service]) for each in found.containers),
        revisions={workload.name: workload.revision for workload in counted},
    )
    needed = _needed(stack, web)
    takeovers = [
        *(_job(w, found) for w in stack.of(Role.JOB) if found.of(w.name)),
        _web(web, old, record, http=http, has_port=has_port, hold=stack.proxy.hold_seconds),
        *(
            _dependency(workloads[name], found, hold=stack.proxy.hold_seconds if name in needed else None)
            for name in order
        ),
        *(_new(w) for w in stack.of(Role.DEPENDENCY, Role.JOB) if not found.of(w.name)),
    ]
    return AdoptionPlan(record, tuple(takeovers), tuple(_notes(found, stack, web, http)))


def at_odds(found: FoundProject, stack: Stack) -> Iterator[str]:
    """What runs otherwise than the stack would: a surplus would be removed, and what was stopped would be started."""
    for workload in stack.of(Role.WEB, Role.DEPENDENCY, Role.JOB):
        for container in found.of(workload.name):
            is_done = workload.one_shot and container.state is State.EXITED and container.exit_code == 0
            if workload.role is Role.JOB and container.runs:
                yield f"{container.name}: it is a job that is still running; wait for its end"
            elif not container.runs and not is_done:
                yield (
                    f"{container.name}: it is {container.state}; start it, or remove it (docker rm {container.name})"
                )
        count = len(found.of(workload.name))
        if workload.role is Role.DEPENDENCY and count and count != workload.replicas:
            yield (
                f"services.{workload.name}: {count} containers run, and the Compose file says {workload.replicas}; write "
                "deploy.replicas into it, or scale the project to that"
            )


def _former(container: FoundContainer, workload: Workload) -> FormerContainer:
    return FormerContainer(
        container.id,
        container.name,
        container.service,
        container.restart,
        container.retries,
        workload.stop_grace,
    )


def _in_order(stack: Stack) -> Iterable[str]:
    mine = {workload.name: workload for workload in stack.of(Role.DEPENDENCY)}
    graph = {name: [other for other in each.needs if other in mine] for name, each in mine.items()}
    return TopologicalSorter(graph).static_order()


def _needed(stack: Stack, web: Workload) -> frozenset[str]:
    workloads = {workload.name: workload for workload in stack.workloads}
    found: set[str] = set()
    queue = [*web.needs]
    while queue:
        if (name := queue.pop()) not in found:
            found.add(name)
            queue.extend(workloads[name].needs)
    return frozenset(found)


def _job(workload: Workload, found: FoundProject) -> Takeover:
    names = tuple(each.name for each in found.of(workload.name))
    return Takeover(workload.name, "job", names, 0, False, 0, "is done, and is not run again")


def _new(workload: Workload) -> Takeover:
    return Takeover(workload.name, str(workload.role), (), 0, False, 0, "has no container, and is started")


def _web(
    web: Workload, old: Sequence[FoundContainer], record: Adoption, *, http: int, has_port: bool, hold: float
) -> Takeover:
    names, stops = tuple(each.name for each in old), web.stop_grace if old else 0.0
    closed = OPENING_SECONDS + stops if has_port else 0.0
    ports = sorted({port for each in old for port in each.ports.values()} - {http})
    others = f"; port {', '.join(map(str, ports))} closes with {', '.join(names)}" if ports else ""
    if record.waits:
        where = f"port {http} is closed" if has_port else "it does not answer"
        text = (
            f"writes to a volume, so its containers end first: {where} while they end (at most {stops:g} s) and HAProxy "
            f"starts (about {OPENING_SECONDS:g} s), then requests wait until it is ready, at most {hold:g} s"
        )
        return Takeover(web.name, "web", names, OPENING_SECONDS + stops, True, stops, text + others)
    if has_port:
        text = (
            f"new ones become ready behind HAProxy on port {record.beside}; then port {http} is closed while the former "
            f"containers end (at most {stops:g} s) and HAProxy opens it (about {OPENING_SECONDS:g} s)"
        )
    else:
        text = f"new ones become ready behind HAProxy on port {http}, where no request is lost; then the former ones end"
    return Takeover(web.name, "web", names, closed, False, stops, text + others)


def _dependency(workload: Workload, found: FoundProject, *, hold: float | None) -> Takeover:
    names = tuple(each.name for each in found.of(workload.name))
    text = f"{', '.join(names)} ends (at most {workload.stop_grace:g} s), then one of the controller starts on its volumes"
    if hold is not None:
        text += f"; requests wait in HAProxy meanwhile, at most {hold:g} s"
    return Takeover(workload.name, "dependency", names, 0, hold is not None, workload.stop_grace, text)


def _notes(found: FoundProject, stack: Stack, web: Workload, http: int) -> Iterator[str]:
    if versions := {each.version for each in found.containers} - {found.version, ""}:
        yield (
            f"containers were made by Compose {', '.join(sorted(versions))} and this is {found.version}: whether they run "
            "what the present Compose file says cannot be seen"
        )
    for container in found.containers:
        if container.service == web.name:
            continue
        for target, port in sorted(container.ports.items()):
            if port not in stack.host_ports:
                yield f"services.{container.service}: port {port} of the host, now its {target}, closes"
    if not any(found.of(web.name)):
        yield f"services.{web.name}: has no container; it is started"
