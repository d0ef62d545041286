"""The next safe operations of a gateway, from what was seen of it and what it has to be.

Routes come first: they are written, then told to each HAProxy that runs, and need no reload. Only another structure does.
Then come the containers, as in front of a service, and last the pools that no route leads to any more. What reads the files
waits until each names the replicas that are in use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Stack
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.dependencies import plan_orphans
from reconciler.core.plan.gateway_operations import (
    ChangeCertificates,
    ChangeRoutes,
    ConfigureGateway,
    DisconnectNetwork,
    DrainPool,
    EmptyPool,
    GatewayTls,
    NameSlots,
    OnNode,
    WriteCertificates,
    WriteRoutes,
)
from reconciler.core.plan.images import fetch, stand_still
from reconciler.core.plan.operations import CreateProxy, Operation, Plan, Step, Wait
from reconciler.core.plan.planner import endings, soonest
from reconciler.proxy.haproxy.containers import haproxy_of, holder_of
from reconciler.proxy.haproxy.gateway.containers import slot_overlay
from reconciler.proxy.haproxy.gateway.damage import read_too_early
from reconciler.proxy.haproxy.gateway.leaving import Leaving
from reconciler.proxy.haproxy.gateway.maps import led_by
from reconciler.proxy.haproxy.gateway.on_nodes import plan_nodes
from reconciler.proxy.haproxy.gateway.pool_file import WrittenPool
from reconciler.proxy.haproxy.gateway.pools import Need
from reconciler.proxy.haproxy.gateway.sight import Leftover, Sight
from reconciler.proxy.haproxy.gateway.wanted import WantedGateway
from reconciler.proxy.haproxy.steps import HOLDS_NAMESPACE, plan_containers

__all__ = ["plan_gateway"]

ROUTES_LOOK: Final = 1.0
"""Seconds until a HAProxy that was too busy to tell its routes is asked again."""

SESSIONS_LOOK: Final = 1.0
"""Seconds between two looks at the sessions of a pool that is drained: there is no event at their end."""


def plan_gateway(
    assessment: Assessment,
    spec: GatewaySpec,
    wanted: WantedGateway,
    sight: Sight,
    services: Collection[str],
    tls: GatewayTls | None = None,
    *,
    can_hand_over: bool = True,
    each: Stack | None = None,
) -> Plan:
    """The operations that are safe now. Pure and deterministic. `services` are the names of all that there are; `each` is
    what one node runs of a gateway that runs on several.
    """
    if each is not None:
        return _plan_on_nodes(assessment, each, spec, wanted, sight, services, tls)
    lacking = _lacking(assessment)
    if lacking:
        assessment = stand_still(assessment, lacking)
    observed = assessment.observed
    door = plan_containers(
        assessment, slot_overlay, (), "port in spec.listeners", can_hand_over=can_hand_over
    )
    if door.blocked and not observed.engine.containers:
        # A service may have the port until it has a pool here.
        routes = tuple(_routes(wanted, sight))
        return Plan(routes, blocked=door.blocked, requeue_after=door.step.requeue_after)

    steps = (
        # Before routes: plain HTTP is redirected to hosts that have one.
        Step.of(_certificates(assessment, tls, sight)),
        Step.of(_routes(wanted, sight)),
        Step.of(_changes(assessment, wanted, sight)),
        Step.of(_configuration(assessment, spec, wanted, sight)),
        Step.of(_slots(assessment, sight, door.step.operations)),
        door.step,
        Step.of(_disconnections(assessment)),
        Step.of(_leftovers(assessment, wanted, sight, services)),
        plan_orphans(assessment),
        endings(observed),
    )
    return _as_plan(steps, assessment, sight, lacking, door.blocked)


def _plan_on_nodes(
    assessment: Assessment,
    each: Stack,
    spec: GatewaySpec,
    wanted: WantedGateway,
    sight: Sight,
    services: Collection[str],
    tls: GatewayTls | None,
) -> Plan:
    """The same for a gateway on several nodes, with routes, certificates and pools for all of them."""
    observed = assessment.observed
    leaving = Leaving(sight.readiness, spec.readiness.grace_seconds if spec.readiness else 0.0)
    on_nodes = plan_nodes(assessment, each, sight.slots, sight.places, leaving)
    where = {container.id: container.node for container in observed.containers}
    steps = (
        Step.of(_certificates(assessment, tls, sight)),
        Step.of(_routes(wanted, sight)),
        Step.of(_changes(assessment, wanted, sight)),
        Step.of(_configuration(assessment, spec, wanted, sight)),
        Step.of(_named(sight, on_nodes.slots, on_nodes.places)),
        on_nodes.step,
        Step.of(OnNode.of(where[leaving.container], leaving) for leaving in _disconnections(assessment)),
        Step.of(_leftovers(assessment, wanted, sight, services)),
        endings(observed),
    )
    # The image has to be here as well: it judges the configuration.
    return _as_plan(steps, assessment, sight)


def _as_plan(
    steps: tuple[Step, ...],
    assessment: Assessment,
    sight: Sight,
    lacking: Collection[str] = (),
    blocked: str = "",
) -> Plan:
    """What of the steps can be done with the files and the images that are there."""
    planned = [operation for step in steps for operation in step.operations]
    early = tuple(read_too_early(planned, assessment, sight))
    able, pulls = fetch(
        assessment.stack, assessment.observed, lacking, [each for each in planned if each not in early]
    )
    awaited = Step.of([*pulls, *([_repair(sight)] if early else [])])
    return Plan(
        operations=(*able, *awaited.operations),
        waiting=tuple(reason for step in (*steps, awaited) for reason in step.waiting),
        blocked=blocked,
        requeue_after=soonest((*steps, awaited)),
    )


def _repair(sight: Sight) -> Wait:
    pools = sorted({pool for damaged in sight.damaged.values() for pool in damaged})
    owners = {pool: need.service for need, pool in sight.written.held.items()}
    said = ", ".join(f"{pool} of {owners[pool]}" if pool in owners else pool for pool in pools)
    return Wait(
        ROUTES_LOOK, f"the file of pool {said} was changed or removed, and has to be written again first"
    )


def _lacking(assessment: Assessment) -> frozenset[str]:
    """The workloads of which a container has to be created from an image that is not there."""
    missing = assessment.observed.engine.missing_images
    return frozenset(
        w.name for w in assessment.stack.workloads if w.image in missing and not assessment.is_complete(w)
    )


def _routes(wanted: WantedGateway, sight: Sight) -> Iterator[Operation]:
    written = sight.written
    if (written.held, written.maps) == (wanted.held, wanted.maps):
        return
    changed = {need.service for need in _differing(written.held, wanted.held)}
    yield WriteRoutes(
        maps=wanted.maps,
        held=tuple((pool, need.service, need.port) for need, pool in sorted(wanted.held.items())),
        routes=len(wanted.maps["routes"]) + len(wanted.maps["tcp"]),
        reassigned=tuple(sorted(changed)),
        cause=Cause.STALE if written.maps else Cause.MISSING,
    )


def _differing(before: Mapping[Need, str], after: Mapping[Need, str]) -> set[Need]:
    return {need for need, _ in set(before.items()) ^ set(after.items())}


def _certificates(assessment: Assessment, tls: GatewayTls | None, sight: Sight) -> Iterator[Operation]:
    if tls is None:
        return
    if not sight.is_certified:
        yield WriteCertificates(tls=tls, cause=Cause.STALE if sight.written.structure else Cause.MISSING)
    for container in assessment.observed.of(haproxy_of(assessment.stack).name):
        if container.id in sight.uncertified:
            yield ChangeCertificates.on(container, Cause.STALE, slot=container.slot or 0, tls=tls)


def _changes(assessment: Assessment, wanted: WantedGateway, sight: Sight) -> Iterator[Operation | Wait]:
    """Also of one that is to be reloaded: routes do not wait for a structure that is refused."""
    answering = {instance.container for instance in sight.instances if instance.answering}
    for container in assessment.observed.of(haproxy_of(assessment.stack).name):
        if container.id in answering and container.id not in sight.maps:
            yield Wait(ROUTES_LOOK, f"{container.name} has not told its routes")
        if container.id in sight.unfilled:
            # Its service tells it in a moment. Until then requests go on to the former pools.
            pools = ", ".join(sight.unfilled[container.id])
            yield Wait(ROUTES_LOOK, f"{container.name} does not have the replicas of pool {pools} yet")
            continue
        present = sight.maps.get(container.id, {})
        changed = tuple(name for name, entries in sorted(present.items()) if entries != wanted.maps[name])
        if changed:
            yield ChangeRoutes.on(
                container, Cause.STALE, slot=container.slot or 0, maps=wanted.maps, changed=changed
            )


def _configuration(
    assessment: Assessment, spec: GatewaySpec, wanted: WantedGateway, sight: Sight
) -> Iterator[Operation]:
    written = assessment.observed.proxy.written
    # A pool whose file was removed manually is part of the structure.
    if written != wanted.structure:
        cause = Cause.OUTDATED if sight.written.structure else Cause.MISSING
        yield ConfigureGateway(spec=spec, pools=wanted.pools, cause=cause)


def _slots(assessment: Assessment, sight: Sight, planned: Collection[Operation]) -> Iterator[Operation]:
    """A slot is named before its HAProxy is created, and until its container is gone."""
    there = {c.slot for c in assessment.observed.of(haproxy_of(assessment.stack).name) if c.slot}
    there |= {operation.slot for operation in planned if isinstance(operation, CreateProxy)}
    yield from _named(sight, tuple(sorted(there)), {})


def _named(sight: Sight, slots: tuple[int, ...], places: Mapping[int, str]) -> Iterator[Operation]:
    if (sight.slots, dict(sight.places)) != (slots, dict(places)):
        yield NameSlots(slots=slots, nodes=places, cause=Cause.STALE if sight.slots else Cause.MISSING)


def _disconnections(assessment: Assessment) -> Iterator[DisconnectNetwork]:
    """Leave the networks of services that no longer have a pool; others that were joined manually are left alone."""
    holder = holder_of(assessment.stack)
    for container in assessment.observed.of(holder.name) if holder else ():
        if holder and container.state in HOLDS_NAMESPACE and not container.stopping:
            for network in sorted(set(container.addresses) - holder.networks):
                if network.endswith(f"_{VAULT_NET}"):
                    yield DisconnectNetwork.on(container, Cause.SURPLUS, network=network)


def _leftovers(
    assessment: Assessment, wanted: WantedGateway, sight: Sight, services: Collection[str]
) -> Iterator[Operation | Wait]:
    """Drain, then empty the pools that no route leads to. One whose service is gone has nothing left to wait for."""
    untold = {each.container for each in sight.instances if each.answering} - sight.maps.keys()
    if assessment.silent or untold or _is_read_soon(assessment):
        # Its sessions or its routes are unknown, and it may still send requests there; or it reads the files in a moment.
        return
    owners = {pool: need.service for need, pool in wanted.held.items()}
    led = frozenset(pool for maps in sight.maps.values() for pool in led_by(maps))
    longest = assessment.stack.strategy.drain
    for pool, left in sorted(sight.leftovers.items()):
        is_spare = sight.written.pools.get(pool) == WrittenPool() and left == Leftover()
        if pool in wanted.needed or is_spare or (pool in led and owners.get(pool) in services):
            continue
        owner = owners.get(pool, "")
        if owner in services and left.current:
            yield DrainPool(
                pool=pool, slots=assessment.slots, servers=left.current, cause=Cause.SURPLUS, detail=owner
            )
        elif owner in services and left.sessions and left.since < longest:
            yield Wait(SESSIONS_LOOK)
        else:
            yield EmptyPool(
                pool=pool,
                slots=assessment.slots,
                servers=left.servers,
                cut=left.sessions,
                cause=Cause.SURPLUS,
                detail=owner,
            )


def _is_read_soon(assessment: Assessment) -> bool:
    """Whether a HAProxy is about to start, and to read the files as they are then."""
    proxies = assessment.observed.of(haproxy_of(assessment.stack).name)
    return any(each.state in (State.CREATED, State.RESTARTING) for each in proxies)
