"""Everything about one object at one moment: its stored object, and its current containers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE
from reconciler.controller.report.verdict import Summary, summarize
from vault_plugins.contract import PluginError

if TYPE_CHECKING:
    from reconciler.app.preparing import Build
    from reconciler.core.assess.assessment import Assessment
    from reconciler.core.assess.observation import Container, EngineObservation
    from reconciler.core.assess.pool import Member
    from reconciler.core.desired.stack import Stack
    from reconciler.store.base import Event, Objects, Records, StoredObject

__all__ = ["Description", "Instance", "describe", "instances"]


Observe = Callable[["Stack"], "Assessment"]
"""Observes a stack. Raises VaultError."""

Look = Callable[["StoredObject[Any]"], "tuple[Stack, EngineObservation]"]
"""The stack of a gateway, and what runs of it. Raises VaultError."""


@dataclass(frozen=True)
class Instance:
    """One container; `pool` is its place in HAProxy's ("up", "down", "draining"), empty without one. `node` is where it is,
    empty where there is one machine.
    """

    name: str
    role: str
    revision: str
    is_current: bool
    state: str
    health: str
    pool: str
    sessions: int | None
    created: datetime
    node: str = ""


@dataclass(frozen=True)
class Description:
    """One object. `unseen` says why its instances could not be observed, and is empty when they could."""

    stored: StoredObject[Any]
    status: Any
    summary: Summary
    instances: tuple[Instance, ...]
    unseen: str
    events: tuple[Event, ...]


def describe(
    stored: StoredObject[Any],
    objects: Objects,
    records: Records,
    build: Build,
    observe: Observe,
    gateway: Look,
    *,
    events: int,
) -> Description:
    """An object with its newest `events`. A failed build or observation does not hide the rest. `gateway` looks at the
    containers of a VaultGateway.
    """
    kind = stored.ref.kind
    status = objects.of(kind).status(stored.name)
    unseen, found = "", tuple[Instance, ...]()
    try:
        if kind == VAULT_SERVICE:
            found = instances(observe(build(stored.resource, stored.origin.manifest.parent)))
        elif kind == VAULT_GATEWAY:
            found = fronts(gateway(stored))
    except (VaultError, PluginError) as error:
        unseen = str(error)
    told = records.of(kind).events(stored.name, events)
    return Description(stored, status, summarize(stored, status), found, unseen, told)


def instances(assessment: Assessment) -> tuple[Instance, ...]:
    """Every container of a stack, by role and age."""
    return _instances(assessment.stack, assessment.observed.engine.containers, assessment.members)


def fronts(seen: tuple[Stack, EngineObservation]) -> tuple[Instance, ...]:
    """Every container of a gateway."""
    stack, observed = seen
    return _instances(stack, observed.containers, {})


def _instances(
    stack: Stack, containers: Iterable[Container], members: Mapping[str, Member]
) -> tuple[Instance, ...]:
    accepts = {workload.name: workload.accepts for workload in stack.workloads}
    found = []
    for container in sorted(containers, key=lambda c: (c.role, c.created, c.id)):
        accepted, member = accepts.get(container.workload), members.get(container.short)
        state = container.state.value
        if container.exit_code is not None and state == "exited":
            state = f"exited ({container.exit_code})"
        found.append(
            Instance(
                name=container.name,
                role=container.role.value,
                revision=container.revision,
                is_current=accepted is not None and accepted(container.revision),
                state=state,
                health="" if container.health.value == "none" else container.health.value,
                pool=""
                if member is None
                else "draining"
                if member.draining
                else "up"
                if member.up
                else "down",
                sessions=member.sessions if member else None,
                created=container.created,
                node=container.node,
            )
        )
    return tuple(found)
