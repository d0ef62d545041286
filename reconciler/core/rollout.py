"""The replicas behind the pool: what to create, add, drain, stop and remove next.

A rollout is not a procedure but a fixpoint: each pass looks at every replica and moves one step nearer, from whatever
state it finds. Scaling, healing, updating and rotating are the same arithmetic with other reasons:

- new replicas fill the pool up to N + surge containers,
- old ones leave it while at least N - unavailable others take traffic,
- nothing is stopped before every proxy said that it has no session, or its drain deadline has passed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.core.health import Phase, Replica, judge
from reconciler.core.history import History
from reconciler.core.observed import Health, Observed
from reconciler.core.plan import (
    AddServer,
    Cause,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    RemoveContainer,
    StartContainer,
    Step,
    StopContainer,
)
from reconciler.core.pool import Member
from reconciler.core.stack import Role, Stack, StrategyKind, Workload

DRAIN_LOOK: Final = 0.05
"""Seconds between two looks at a draining server: HAProxy sends no event when its last session ends."""

CHECK_LOOK: Final = 0.2
"""Seconds between two looks at a server that waits for its first good check: HAProxy sends no event for that either."""


@dataclass(frozen=True, slots=True)
class WebStep:
    """The next step of the pool, and the servers (name to address) that haproxy.cfg has to name from now on."""

    step: Step
    servers: Mapping[str, str]


def judge_replicas(
    stack: Stack, observed: Observed, members: Mapping[str, Member], now: datetime
) -> tuple[Replica, ...]:
    """Every container that serves or once served the pool, oldest first, those of services that are gone included."""
    workloads = {workload.name: workload for workload in stack.web}
    containers = [c for c in observed.engine.containers if c.workload in workloads or c.role is Role.WEB]
    return tuple(
        judge(container, workloads.get(container.workload) or _gone(container.workload), members,
              stack.strategy.progress_deadline, now)
        for container in sorted(containers, key=lambda c: c.age_key)
        if container.workload in workloads or not _is_known(stack, container.workload)
    )  # fmt: skip


def plan_web(
    stack: Stack,
    observed: Observed,
    members: Mapping[str, Member],
    history: History,
    now: datetime,
    *,
    may_start: bool,
    hold: bool,
) -> WebStep:
    """The next step of all `web` workloads together.

    `may_start`: what they need is ready. `hold`: what they need is being changed, so the pool has to be empty and
    HAProxy holds the requests.
    """
    return _Pool(stack, observed, members, history, now).step(may_start=may_start, hold=hold)


class _Pool:
    """The arithmetic of one pass; every method narrows down the answer to one question."""

    def __init__(
        self, stack: Stack, observed: Observed, members: Mapping[str, Member], history: History, now: datetime
    ) -> None:
        self._stack = stack
        self._strategy = stack.strategy
        self._members = members
        self._history = history
        self._now = now
        self._replicas = judge_replicas(stack, observed, members, now)
        self._slots = tuple(sorted(c.slot for c in observed.engine.containers
                                   if c.slot is not None and c.id in _answering(observed)))  # fmt: skip
        self._waits: list[tuple[float, str]] = []

    def step(self, *, may_start: bool, hold: bool) -> WebStep:
        dead = [r for r in self._replicas if r.phase is Phase.DEAD]
        retiring = self._retiring()
        kept = [r for r in self._replicas if r.live and r.phase is not Phase.STOPPING and r not in retiring]
        operations: list[Operation] = []
        operations += self._bury(dead)
        operations += self._forget_servers()
        operations += self._hold(kept) if hold else self._admit(kept)
        operations += self._retire(retiring)
        if may_start:
            operations += self._start(kept)
            operations += self._create(retiring, dead)
        self._explain(kept)
        return WebStep(
            Step(tuple(operations), "; ".join(reason for _, reason in self._waits if reason),
                 min((seconds for seconds, _ in self._waits), default=None)),
            {} if hold else self._servers(kept, operations),
        )  # fmt: skip

    # Who leaves

    def _retiring(self) -> dict[Replica, Cause]:
        """The replicas that leave now, each with its reason: as many as the pool can spare, the least useful first."""
        candidates = self._candidates()
        spare = sum(r.available(self._strategy.min_ready) for r in self._replicas) - self._floor
        retiring: dict[Replica, Cause] = {}
        for replica in sorted(
            candidates, key=lambda r: (not r.draining, r.taking_traffic, r.phase is Phase.READY)
        ):
            if (
                replica.draining
                or (not replica.taking_traffic and replica.phase is not Phase.READY)
                or (not replica.taking_traffic and spare >= 0 and self._slots)
            ):
                retiring[replica] = candidates[replica]
            elif replica.taking_traffic and spare > 0:
                retiring[replica] = candidates[replica]
                spare -= 1
        return retiring

    @property
    def _floor(self) -> int:
        """The fewest replicas that may take traffic. Recreate gives up all of them at once, and HAProxy holds."""
        if self._strategy.kind is StrategyKind.RECREATE:
            return 0
        return max(0, self._stack.replicas - self._strategy.unavailable)

    def _candidates(self) -> dict[Replica, Cause]:
        """The replicas that should leave when there is room for it, oldest first within a reason."""
        candidates: dict[Replica, Cause] = {}
        for replica in self._replicas:
            if not replica.live or replica.phase is Phase.STOPPING:
                continue
            if not replica.current and not self._strategy.paused:
                candidates[replica] = Cause.OUTDATED if replica.workload.replicas else Cause.SURPLUS
            elif replica.phase is Phase.UNHEALTHY:
                detached = replica.address is None or replica.reason.startswith("detached")
                candidates[replica] = Cause.DETACHED if detached else Cause.UNHEALTHY
        for workload in self._stack.web:
            rest = [r for r in self._replicas if r.workload is workload and r.useful and r not in candidates]
            surplus = sorted(rest, key=self._least_wanted)[: max(0, len(rest) - workload.replicas)]
            candidates |= dict.fromkeys(surplus, Cause.ROTATION if self._stack.rotation else Cause.SURPLUS)
        if self._rotation_due(candidates) and not self._surge:
            candidates[next(r for r in self._replicas if r.useful)] = Cause.ROTATION
        return candidates

    def _least_wanted(self, replica: Replica) -> tuple[object, ...]:
        # Under rotation the young one is the point of having too many.
        return (
            not replica.draining,
            replica.serving and self._stack.rotation is None,
            replica.container.age_key,
        )

    def _retire(self, retiring: Mapping[Replica, Cause]) -> Iterable[Operation]:
        """Drain, then stop what is drained; a container that never ran is simply removed."""
        for replica, cause in retiring.items():
            member = replica.member
            if replica.phase is Phase.CREATED:
                yield self._remove(replica, cause)
            elif member is None:
                yield self._stop(replica, cause)
            elif not member.draining:
                yield DrainServer(server=replica.name, slots=self._slots, cause=cause, detail=replica.reason)
                self._waits.append((0.0, ""))
            elif member.sessions == 0:
                yield DeleteServer(server=replica.name, slots=self._slots, force=False, cause=cause)
                yield self._stop(replica, cause)
            elif member.since >= self._strategy.drain:
                yield self._stop(replica, cause, cut=member.sessions)
            else:
                self._waits.append(
                    (DRAIN_LOOK, f"{replica.container.name} has {member.sessions} sessions to end")
                )

    # Who serves

    def _admit(self, kept: Sequence[Replica]) -> Iterable[Operation]:
        """Every ready replica that stays belongs into the pool, at the address that it has now."""
        if not self._slots:
            return
        for replica in kept:
            address = replica.address
            if replica.in_pool or address is None or replica.phase is not Phase.READY:
                continue
            if replica.member is not None and replica.member.addresses != {address}:
                yield DeleteServer(server=replica.name, slots=self._slots, force=True, cause=Cause.STALE)
            yield AddServer(
                server=replica.name,
                slots=self._slots,
                address=address,
                trusted=replica.container.health is Health.HEALTHY,
                cause=Cause.READY,
            )

    def _hold(self, kept: Sequence[Replica]) -> Iterable[Operation]:
        """Empty the pool without stopping anything."""
        for replica in kept:
            if replica.member is not None and not replica.member.draining:
                yield DrainServer(server=replica.name, slots=self._slots, cause=Cause.HOLD)
        if any(replica.sessions for replica in kept):
            self._waits.append((DRAIN_LOOK, "requests end before a dependency changes"))

    def _servers(self, kept: Sequence[Replica], operations: Iterable[Operation]) -> dict[str, str]:
        """What haproxy.cfg has to name: a worker that starts from it must serve what the running ones serve."""
        added = {o.server for o in operations if isinstance(o, AddServer)}
        return {r.name: r.address for r in kept if r.address and (r.in_pool or r.name in added)}

    # Who comes

    def _create(self, retiring: Mapping[Replica, Cause], dead: Sequence[Replica]) -> Iterable[Operation]:
        live = sum(r.live for r in self._replicas)
        room = self._stack.replicas + self._surge - live
        recreating = self._strategy.kind is StrategyKind.RECREATE and any(
            r.live and not r.current for r in self._replicas
        )
        if recreating:
            return
        extra = 1 if self._surge and self._rotation_due(retiring) else 0
        for workload in self._stack.web:
            mine = [r for r in self._replicas if r.workload is workload]
            useful = sum(
                r.useful and r not in retiring and (r.current or self._strategy.paused) for r in mine
            )
            count = min(workload.replicas + extra - useful, room)
            if count <= 0:
                continue
            if wait := self._history.wait_before_replacing(workload.name, self._now):
                self._waits.append((wait, f"{workload.name} died again and again; next try in {wait:.0f} s"))
                continue
            room -= count
            rotated, extra = extra, 0
            removed = sum(r in dead or (r in retiring and r.phase is Phase.CREATED) for r in mine)
            cause = (
                Cause.ROTATION
                if rotated
                else Cause.OUTDATED
                if any(not r.current for r in mine)
                else Cause.MISSING
            )
            yield CreateReplicas(
                workload=workload.name,
                count=count,
                existing=len(mine) - removed,
                cause=cause,
                detail=f"{useful} of {workload.replicas} of {workload.revision}",
            )

    @property
    def _surge(self) -> int:
        return 0 if self._strategy.kind is StrategyKind.RECREATE else self._strategy.surge

    def _start(self, kept: Sequence[Replica]) -> Iterable[Operation]:
        for replica in kept:
            if replica.phase is Phase.CREATED:
                yield StartContainer(
                    container=replica.container.id,
                    name=replica.container.name,
                    workload=replica.workload.name,
                    cause=Cause.MISSING,
                )

    def _rotation_due(self, leaving: Mapping[Replica, Cause]) -> bool:
        """Whether the youngest replica is old enough for the next one; never while anything else is going on."""
        rotation = self._stack.rotation
        calm = all(r.current and (r.serving or r.draining) for r in self._replicas) and not leaving
        if (
            rotation is None
            or not calm
            or len(self._replicas) < self._stack.replicas
            or self._strategy.paused
        ):
            return False
        due_in = next_rotation(self._replicas, rotation.interval, rotation.jitter) - self._now.timestamp()
        if due_in > 0:
            self._waits.append((due_in, ""))
        return due_in <= 0

    # Who is gone

    def _bury(self, dead: Sequence[Replica]) -> Iterable[Operation]:
        for replica in dead:
            if replica.member is not None:
                yield DeleteServer(server=replica.name, slots=self._slots, force=True, cause=Cause.DEAD)
            yield self._remove(replica, Cause.DEAD if replica.current else Cause.OUTDATED)

    def _forget_servers(self) -> Iterable[Operation]:
        """Servers whose container does not even exist any more."""
        known = {replica.name for replica in self._replicas}
        for name in sorted(set(self._members) - known):
            yield DeleteServer(
                server=name, slots=self._slots, force=True, cause=Cause.DEAD, detail="no such container"
            )

    def _stop(self, replica: Replica, cause: Cause, cut: int = 0) -> StopContainer:
        return StopContainer(
            container=replica.container.id,
            name=replica.container.name,
            workload=replica.container.workload,
            grace=replica.workload.stop_grace,
            cut=cut,
            cause=cause,
            detail=replica.reason,
        )

    def _remove(self, replica: Replica, cause: Cause) -> RemoveContainer:
        return RemoveContainer(
            container=replica.container.id,
            name=replica.container.name,
            workload=replica.container.workload,
            cause=cause,
            detail=replica.reason,
        )

    def _explain(self, kept: Sequence[Replica]) -> None:
        """Say what an idle pass is waiting for, and look again when only time can tell."""
        deadline = self._strategy.progress_deadline
        for replica in kept:
            age = (self._now - replica.container.created).total_seconds()
            if replica.in_pool and not replica.taking_traffic:
                self._waits.append(
                    (CHECK_LOOK, f"{replica.container.name} does not pass HAProxy's check yet")
                )
            elif replica.phase is Phase.WARMING:
                self._waits.append((max(1.0, deadline - age), f"{replica.container.name} is starting"))
            elif (
                replica.member is not None
                and replica.taking_traffic
                and not replica.available(self._strategy.min_ready)
            ):
                left = self._strategy.min_ready - replica.member.since
                self._waits.append(
                    (left, f"{replica.container.name} has to stay ready for {left:.0f} s more")
                )


def next_rotation(replicas: Sequence[Replica], interval: float, jitter: float) -> float:
    """The Unix time of the next rotation: `interval` give or take `jitter` after the youngest replica was created.

    The offset is drawn from that container's ID, so that it is as hard to guess and the same after a restart of the
    controller.
    """
    youngest = max(replicas, key=lambda r: r.container.age_key).container
    offset = random.Random(youngest.id).uniform(-jitter, jitter)
    return youngest.created.timestamp() + interval * (1 + offset)


def _answering(observed: Observed) -> frozenset[str]:
    return frozenset(instance.container for instance in observed.proxy.instances if instance.answering)


def _is_known(stack: Stack, name: str) -> bool:
    return any(workload.name == name for workload in stack.workloads)


def _gone(name: str) -> Workload:
    """Stands for a web service that the stack no longer has: no replica of it is wanted."""
    return Workload(name, Role.WEB, 0, "", "", frozenset(), frozenset())
