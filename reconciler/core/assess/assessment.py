"""The assessment of one observation: the verdicts of health.py and pool.py, computed once for plan, diff and status.

Values that several of them need are derived here as well, on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from reconciler.core.assess.age import next_rotation, next_turn
from reconciler.core.assess.counts import Counts, count_instances, count_replicas
from reconciler.core.assess.health import Replica, judge_replicas
from reconciler.core.assess.instance import Instance, Phase, find_phase, judge_instance
from reconciler.core.assess.moved import find_moved
from reconciler.core.assess.namespaces import lost_namespace
from reconciler.core.assess.observation import ENDED, Container, Observation
from reconciler.core.assess.pool import Member, merge, silent
from reconciler.core.desired.stack import Role, Stack, Workload


@dataclass(frozen=True)
class Assessment:
    """The desired and the observed state, at one moment.

    `members` are the servers over all proxies, by name; `replicas` every container of the pool, `others` those of the
    stack's other workloads, oldest first, and of a stopped stack only those that still run; `slots` the names of the
    proxies that answer, `silent` the IDs of those that run and do not. `lacking`: workloads of which no container can be
    created yet, because their image is not there.
    """

    stack: Stack
    observed: Observation
    members: Mapping[str, Member]
    replicas: tuple[Replica, ...]
    others: tuple[Instance, ...]
    slots: tuple[int, ...]
    silent: tuple[str, ...]
    now: datetime
    lacking: frozenset[str] = frozenset()

    def of(self, workload: Workload) -> tuple[Instance, ...]:
        """The instances of one workload of the stack, oldest first."""
        return self._by_workload.get(workload.name, ())

    def is_complete(self, workload: Workload) -> bool:
        """Whether all instances of a workload that no pool serves are there, of the current definition, and well."""
        instances = self.of(workload)
        return workload.done or (
            len(instances) == workload.replicas and all(instance.is_well for instance in instances)
        )

    @cached_property
    def counts(self) -> Mapping[str, Counts]:
        """How many containers each workload of the stack has."""
        return {
            w.name: count_replicas(w.replicas, self._replicas_of(w))
            if w.role is Role.WEB
            else count_instances(w, self.of(w))
            for w in self.stack.workloads
        }

    @cached_property
    def pool(self) -> Counts:
        """How many replicas there are in all, those of services that are gone included."""
        first, *others = self.stack.web
        if not others and self.of(first) == self.replicas:
            # Those of the only workload, which are counted already.
            return self.counts[first.name]
        return count_replicas(self.stack.replicas, self.replicas)

    @cached_property
    def live(self) -> tuple[Replica, ...]:
        """The replicas that are not dead, oldest first."""
        return tuple([replica for replica in self.replicas if replica.live])

    @property
    def relied_on(self) -> int:
        """How many serving replicas are of the current revision."""
        return sum(r.serving and (r.current or r.asked) for r in self.replicas)

    @property
    def completed(self) -> tuple[Workload, ...]:
        """The jobs of this revision that are seen to have ended well; also of a stopped stack, whose containers may be
        removed manually before it is started again.
        """
        return tuple(
            job
            for job in self.stack.of(Role.JOB)
            if not job.done
            and any(
                job.accepts(run.revision) and find_phase(run, job, in_time=True).phase is Phase.COMPLETE
                for run in self.observed.of(job.name)
            )
        )

    @cached_property
    def orphans(self) -> tuple[Container, ...]:
        """The containers of services that the stack does not have, oldest first."""
        names = {workload.name for workload in self.stack.workloads}
        return tuple(c for c in self.observed.containers if c.workload not in names)

    @cached_property
    def next_rotation(self) -> float | None:
        """The Unix time of the next rotation, or None when nothing is rotated by age."""
        rotation = self.stack.rotation
        if rotation is None or not self.live:
            return None
        if self.stack.is_single_active:
            return next_turn(self.live, rotation, self.now)
        return next_rotation(self.live, rotation)

    @cached_property
    def moved(self) -> tuple[tuple[str, str], ...]:
        """Each workload whose containers do not run the image that its tag means now, with a message."""
        return tuple(find_moved(self))

    def _replicas_of(self, workload: Workload) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.replicas if replica.workload is workload)

    @cached_property
    def _by_workload(self) -> Mapping[str, tuple[Instance, ...]]:
        found: dict[str, list[Instance]] = {}
        for instance in (*self.others, *self.replicas):
            found.setdefault(instance.workload.name, []).append(instance)
        return {workload: tuple(instances) for workload, instances in found.items()}


def assess(stack: Stack, observed: Observation, now: datetime) -> Assessment:
    """Assess one observation of a stack; `now` is when it was made."""
    members = merge(observed.proxy.instances)
    answering = {
        instance.container: instance.slot for instance in observed.proxy.instances if instance.answering
    }
    own = (c.slot for c in observed.engine.containers if c.id in answering and c.slot is not None)
    slots = {*own, *(slot for slot in answering.values() if slot is not None)}
    return Assessment(
        stack=stack,
        observed=observed,
        members=members,
        replicas=judge_replicas(stack, observed, members, now),
        others=_judge_others(stack, observed, now),
        slots=tuple(sorted(slots)),
        silent=silent(stack.of(Role.PROXY), observed),
        now=now,
    )


def _judge_others(stack: Stack, observed: Observation, now: datetime) -> tuple[Instance, ...]:
    workloads = {w.name: w for w in stack.workloads if w.role is not Role.WEB}
    deadline = stack.strategy.progress_deadline
    return tuple(
        judge_instance(
            container,
            workload,
            deadline,
            now,
            lost_namespace(container, workload, observed, now),
            observed.engine.drained,
        )
        for container in observed.containers
        if (workload := workloads.get(container.workload)) and not (stack.is_stopped and _rests(container))
    )


def _rests(container: Container) -> bool:
    """Whether a container of a stopped stack is as it should be: it is kept with its volumes, those without a name too."""
    return container.role in (Role.DEPENDENCY, Role.JOB) and container.state in ENDED
