"""How replicas leave: their servers are drained, then deleted, and only then their containers stopped.

The proxy refuses to delete a server that has a session, so its success permits the stop. The steps of several replicas are
sorted by kind, because neighbours of one kind share a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import Replica, cause_of_end
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.pool import Member
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.looks import DRAIN_LOOK, next_look
from reconciler.core.plan.operations import (
    DeleteServer,
    DrainServer,
    Operation,
    RemoveContainer,
    StopContainer,
    Wait,
)


def bury(dead: Sequence[Replica], stack: Stack) -> Iterator[Operation]:
    """Remove the containers of dead replicas, each with the cause of its end."""
    for replica in dead:
        ended = cause_of_end(replica.container, current=replica.current)
        if stack.is_stopped:
            ended = Cause.STOPPED
        elif replica.asked and replica.is_moving:
            ended = Cause.NODE
        yield _remove(replica, Cause.DETACHED if replica.is_detached else ended)


def forget_servers(assessment: Assessment) -> list[Operation | Wait]:
    """The servers of dead replicas: they get no new requests at once, and pending requests are redispatched."""
    gone = set(assessment.members) - {replica.name for replica in assessment.live}
    return _neighbours(_forget(assessment, name) for name in sorted(gone))


def _forget(assessment: Assessment, name: str) -> Operation | Wait:
    member = assessment.members[name]
    if not member.draining:
        return DrainServer(server=name, slots=assessment.slots, cause=Cause.DEAD)
    if _is_deserted(member, assessment.stack):
        cut = f"cuts {member.sessions} sessions" if member.sessions else ""
        return DeleteServer(
            server=name, slots=assessment.slots, force=bool(cut), cause=Cause.DEAD, detail=cut
        )
    look = next_look(DRAIN_LOOK, member.since, assessment.stack.proxy.redispatch)
    return Wait(look, f"{name} has ended; its {member.sessions} sessions may go elsewhere")


def _is_deserted(member: Member, stack: Stack) -> bool:
    """Whether all requests to the server of a dead replica have ended or gone to another one."""
    return member.sessions == 0 or member.since >= stack.proxy.redispatch


def retire(assessment: Assessment, retiring: Mapping[Replica, Cause]) -> list[Operation | Wait]:
    """Drain, then stop drained replicas; a container that never ran is removed at once."""
    return _neighbours(
        step for replica, cause in retiring.items() for step in _end(assessment, replica, cause)
    )


def _end(assessment: Assessment, replica: Replica, cause: Cause) -> Iterator[Operation | Wait]:
    member = replica.member
    if replica.phase is Phase.CREATED:
        yield _remove(replica, cause)
    elif assessment.silent and (member is None or member.draining):
        yield Wait(DRAIN_LOOK, f"{replica.container.name} leaves when every HAProxy answers")
    elif member is None:
        yield _stop(replica, cause)
    elif not member.draining:
        yield DrainServer(server=replica.name, slots=assessment.slots, cause=cause, detail=replica.reason)
        # A request that has come since is left to the former worker of a proxy that is reloaded in this pass, and no
        # deletion refuses its servers.
        reloads = assessment.observed.proxy.behind
        if replica.idle and member.sessions == 0 and not assessment.silent and not reloads:
            # Nothing to wait for; and once drained, one without a check of its own would look well again.
            yield DeleteServer(server=replica.name, slots=assessment.slots, force=False, cause=cause)
            yield _stop(replica, cause)
    elif member.sessions == 0:
        # The proxy refuses this while there is a session, so its success allows the stop.
        yield DeleteServer(server=replica.name, slots=assessment.slots, force=False, cause=cause)
        yield _stop(replica, cause)
    elif member.since >= assessment.stack.strategy.drain:
        yield _stop(replica, cause, cut=member.sessions)
    else:
        look = next_look(DRAIN_LOOK, member.since, assessment.stack.strategy.drain)
        yield Wait(look, f"{replica.container.name} has {member.sessions} sessions to end")


def _neighbours(steps: Iterable[Operation | Wait]) -> list[Operation | Wait]:
    """The same steps, those that share a call side by side: all drains, all deletions, then the stops that need them.

    What needs no deletion comes first: a server that cannot be deleted ends the pass.
    """
    parts = list(steps)
    deleted = {part.server for part in parts if isinstance(part, DeleteServer)}

    def turn(part: Operation | Wait) -> int:
        match part:
            case DrainServer():
                return 1
            case DeleteServer(force=force):
                return 3 if force else 2
            case StopContainer(container=container):
                return 4 if container[:12] in deleted else 0
        return 0

    return sorted(parts, key=turn)


def _stop(replica: Replica, cause: Cause, cut: int = 0) -> StopContainer:
    grace = replica.workload.stop_grace
    return StopContainer.on(replica.container, cause, grace=grace, cut=cut, detail=replica.reason)


def _remove(replica: Replica, cause: Cause) -> RemoveContainer:
    # The next replica gets new volumes; those of this one would be left behind.
    return RemoveContainer.on(replica.container, cause, detail=replica.reason, anonymous=True)
