"""What runs, judged: the verdicts of health.py and pool.py on one look, made once for all who plan, compare or tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from reconciler.core.assess.health import Replica, judge_replicas
from reconciler.core.assess.instance import Instance, detached, judge_instance
from reconciler.core.assess.observed import Container, Observed
from reconciler.core.assess.pool import Member, merge, silent
from reconciler.core.desired.stack import Role, Stack, Workload


@dataclass(frozen=True)
class Judged:
    """What is wanted and what runs, at one moment.

    `members` are the servers over all proxies, by name; `replicas` every container of the pool, `others` those of the
    stack's other workloads, oldest first; `slots` the names of the proxies that answer, `silent` those that run and do not.
    `lacking`: workloads of which no container can be created yet, because their image is not there.
    """

    stack: Stack
    observed: Observed
    members: Mapping[str, Member]
    replicas: tuple[Replica, ...]
    others: tuple[Instance, ...]
    slots: tuple[int, ...]
    silent: tuple[Container, ...]
    now: datetime
    lacking: frozenset[str] = frozenset()

    def of(self, workload: Workload) -> tuple[Instance, ...]:
        """The instances of one workload of the stack, oldest first."""
        return self._by_workload.get(workload.name, ())

    @cached_property
    def _by_workload(self) -> Mapping[str, tuple[Instance, ...]]:
        found: dict[str, list[Instance]] = {}
        for instance in (*self.others, *self.replicas):
            found.setdefault(instance.workload.name, []).append(instance)
        return {workload: tuple(instances) for workload, instances in found.items()}

    def is_complete(self, workload: Workload) -> bool:
        """Whether all instances of a workload that no pool serves are there, of the current definition, and well."""
        instances = self.of(workload)
        return workload.done or (
            len(instances) == workload.replicas and all(instance.is_well for instance in instances)
        )


def judge(stack: Stack, observed: Observed, now: datetime) -> Judged:
    """Judge one look at what runs for a stack; `now` is when it was taken."""
    members = merge(observed.proxy.instances)
    answering = {instance.container for instance in observed.proxy.instances if instance.answering}
    slots = (c.slot for c in observed.engine.containers if c.id in answering and c.slot is not None)
    return Judged(
        stack=stack,
        observed=observed,
        members=members,
        replicas=judge_replicas(stack, observed.containers, members, now),
        others=_judge_others(stack, observed, now),
        slots=tuple(sorted(slots)),
        silent=silent(stack.haproxy.name, observed),
        now=now,
    )


def _judge_others(stack: Stack, observed: Observed, now: datetime) -> tuple[Instance, ...]:
    workloads = {w.name: w for w in stack.workloads if w.role is not Role.WEB}
    deadline = stack.strategy.progress_deadline
    return tuple(
        _in_its_namespace(judge_instance(container, workloads[container.workload], deadline, now), observed)
        for container in observed.containers
        if container.workload in workloads
    )


def _in_its_namespace(instance: Instance, observed: Observed) -> Instance:
    """A container lives in the namespaces of those that it was created for, which end with their processes."""
    container, workload = instance.container, instance.workload
    if container.stopping or instance.phase is Phase.COMPLETE:
        return instance
    network = [("network namespace", workload.joins, (container.joined,))] if container.joined else []
    others = [
        ("the namespace", owner, container.shared) for owner in sorted(workload.shares) if container.shared
    ]
    for kind, owner, ids in (*network, *others):
        owners = {c.id: c for c in observed.of(owner)} if owner else {}
        if owners and not any(_is_since(owners[id], container) for id in ids if id in owners):
            found = detached(f"{kind} of {owner}")
            return replace(instance, phase=found.phase, reason=found.reason, is_detached=found.is_detached)
    return instance


def _is_since(owner: Container, container: Container) -> bool:
    """Whether a container was started in the namespace that its owner has now, as far as that is known."""
    return not (owner.started and container.started and owner.started > container.started)
