"""The state of a replica, assessed from its container, its member of the pool, and the clock.

The states are those of the rollout table in docs/rollouts.md: dead, warming, unhealthy, ready, serving, draining.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.instance import USEFUL, Found, Instance, Phase, detached, find_phase, is_moving
from reconciler.core.assess.namespaces import lost_namespace
from reconciler.core.assess.observation import Container, Health, Observation
from reconciler.core.assess.pool import Member
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.names import VAULT_NET

EJECTED_SECONDS: Final = 10.0
"""How long a proxy keeps a replica without a health check of its own out before we replace it: first eject, then heal."""

CREATED_RESOLUTION: Final = timedelta(seconds=1)
"""The engine reports the creation time of a container in whole seconds, rounded down."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Replica(Instance):
    """One container of a `web` workload with its assessment.

    `asked`: it runs the current definition, and a fresh one was asked for in its place. `in_pool`: new requests may
    reach it, at its present address. `taking_traffic`: the proxies send it requests, independent of Docker's health; one
    that we are ending is no help any more.
    """

    member: Member | None
    address: str | None
    in_pool: bool
    taking_traffic: bool
    asked: bool = False

    @property
    def name(self) -> str:
        """The name of its server."""
        return self.container.short

    @property
    def useful(self) -> bool:
        """Whether it serves or still may, so that nothing has to be created in its place."""
        return self.phase in USEFUL

    @property
    def live(self) -> bool:
        """Whether it takes a place in the budget of containers."""
        return self.phase is not Phase.DEAD

    @property
    def is_trusted(self) -> bool:
        """Whether it is known to be well before a proxy has checked it."""
        return self.container.health is Health.HEALTHY

    @property
    def idle(self) -> bool:
        """Whether no proxy sends it requests, not even one that missed the latest change."""
        return self.member is None or not self.member.up_somewhere

    @property
    def serving(self) -> bool:
        """Whether it is ready and UP in the pool."""
        return self.phase is Phase.READY and self.taking_traffic

    def available(self, min_ready: float) -> bool:
        """Whether it has taken traffic for `min_ready` seconds, so that another one may leave."""
        return self.taking_traffic and self.member is not None and self.member.since >= min_ready

    @property
    def draining(self) -> bool:
        """Whether it is taken out of the pool and its server still there."""
        return self.member is not None and self.member.draining

    @property
    def doubt(self) -> str:
        """Why it is not in service, if known: its own reason, or the result of the proxy's check."""
        if self.reason or self.member is None or not self.member.check or self.taking_traffic:
            return self.reason
        return f"HAProxy's check: {self.member.check}"

    @property
    def sessions(self) -> int:
        """Sessions that proxies still have open to it."""
        return self.member.sessions if self.member else 0


def judge(
    container: Container,
    workload: Workload,
    members: Mapping[str, Member],
    deadline: float,
    now: datetime,
    rotated_at: datetime | None = None,
    lost: str = "",
    evicted: Collection[str] = (),
    drained: Collection[str] = (),
) -> Replica:
    """Assess one container; `deadline`: seconds from its creation within which it has to become ready.

    `rotated_at`: a moment for which fresh replicas were asked for; one in the future asks nothing yet. `lost`: the
    namespace that it was created for and does not live in, if there is one. `evicted`: the IDs of those to replace;
    `drained`: the names of nodes that instances are to leave.
    """
    member = members.get(container.short)
    host = container.addresses.get(VAULT_NET)
    # The port of its own definition: during a rollout that moves the port, old replicas still serve on theirs.
    address = f"{host}:{container.port or workload.port}" if host else None
    # A proxy's check of another address does not apply to it.
    found = member if member is not None and member.addresses == {address} else None
    accepted = workload.accepts(container.revision)
    moving = is_moving(container, drained)
    asked = (
        moving
        or container.id in evicted
        or (rotated_at is not None and container.created + CREATED_RESOLUTION <= rotated_at <= now)
    )
    # A clock that was set back does not extend the deadline.
    seen = _find_phase(container, workload, found, abs(container.age(now)) < deadline)
    if lost and seen.phase is not Phase.DEAD:
        # It answers as before, so it is replaced as an outdated one is; one that never ran cannot be started there.
        phase = Phase.DEAD if seen.phase is Phase.CREATED else seen.phase
        seen = detached(lost)._replace(phase=phase)
    return Replica(
        container=container,
        workload=workload,
        phase=seen.phase,
        current=accepted and not asked and not lost,
        member=member,
        address=address,
        in_pool=found is not None and found.enabled,
        taking_traffic=found is not None
        and found.up
        and found.is_weighted
        and seen.phase is not Phase.STOPPING,
        reason=seen.reason,
        is_detached=seen.is_detached,
        asked=accepted and asked,
        is_moving=moving,
    )


def judge_replicas(
    stack: Stack, observed: Observation, members: Mapping[str, Member], now: datetime
) -> tuple[Replica, ...]:
    """The containers that serve or once served the pool, those of services that are gone included."""
    web = {workload.name: workload for workload in stack.web}
    others = {workload.name for workload in stack.workloads} - set(web)
    mine = [
        (c, web.get(c.workload) or _gone(c.workload))
        for c in observed.containers
        if c.workload in web or (c.role is Role.WEB and c.workload not in others)
    ]
    deadline, asked = stack.strategy.progress_deadline, stack.rotated_at
    return tuple(
        judge(
            c,
            workload,
            members,
            deadline,
            now,
            asked,
            lost_namespace(c, workload, observed, now),
            stack.evicted,
            observed.engine.drained,
        )
        for c, workload in mine
    )


def cause_of_end(container: Container, *, current: bool) -> Cause:
    """Why a container that has ended is removed: it died, unless we ended it or have no more use for it."""
    if not current:
        return Cause.OUTDATED
    return Cause.SURPLUS if container.stopping else Cause.DEAD


def _gone(name: str) -> Workload:
    """Stands for a web service that the stack no longer has: no replica of it is wanted."""
    return Workload(name, Role.WEB, 0, "", "", frozenset(), frozenset())


def _find_phase(container: Container, workload: Workload, member: Member | None, in_time: bool) -> Found:
    """The assessment by the engine, and by the proxy's check where there is no other check."""
    seen = find_phase(container, workload, in_time=in_time)
    unchecked = seen.phase is Phase.READY and container.health is Health.NONE
    if unchecked and member is not None and member.enabled and not member.up:
        if in_time or member.since < EJECTED_SECONDS:
            return Found(Phase.WARMING)
        return Found(Phase.UNHEALTHY, "HAProxy's check fails" + (f": {member.check}" if member.check else ""))
    return seen
