"""The containers of a gateway on several nodes: on each the same as on one host, and none waits for another node.

A node that cannot be looked at stays as it is. Its HAProxies may be serving, so their slots stay named, and a replica that
leaves waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.core.assess.assessment import Assessment, assess
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import FrontNode, Observation, ProxyInstance
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.dependencies import plan_orphans
from reconciler.core.plan.gateway_operations import DeployAgent, OnNode
from reconciler.core.plan.images import fetch, stand_still
from reconciler.core.plan.operations import (
    CreateProxy,
    Operation,
    Step,
    Wait,
)
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.gateway.containers import slot_overlay
from reconciler.proxy.haproxy.gateway.leaving import Leaving, leave, stay
from reconciler.proxy.haproxy.steps import plan_containers

__all__ = ["NodesStep", "away", "for_all", "plan_nodes", "silent_on"]

NODE_LOOK: Final = 2.0
"""Seconds between two looks at a node that does not answer: there is no event when it does again."""


@dataclass(frozen=True, slots=True)
class NodesStep:
    """The next step on all nodes, and the slots that there are then: with the node of each that an agent serves."""

    step: Step
    slots: tuple[int, ...]
    places: Mapping[int, str]


def for_all(stack: Stack, nodes: tuple[FrontNode, ...]) -> Stack:
    """The stack with what all nodes together have to run."""
    count = sum(node.is_wanted for node in nodes)
    if not nodes:
        return stack
    workloads = tuple(replace(each, replicas=each.replicas * count) for each in stack.workloads)
    return replace(stack, workloads=workloads)


def away(nodes: tuple[FrontNode, ...]) -> frozenset[str]:
    """The nodes that cannot be looked at, but for those that the engine takes for lost: to wait for these would be to wait
    for ever.
    """
    return frozenset(node.name for node in nodes if node.seen is None and not node.is_down)


def silent_on(nodes: tuple[FrontNode, ...], places: Mapping[int, str]) -> Iterator[ProxyInstance]:
    """The HAProxies of nodes that cannot be looked at: each may be serving."""
    gone = away(nodes)
    for slot, node in places.items():
        if node in gone:
            yield ProxyInstance(f"{node} slot {slot}", answering=False, serves=True, slot=slot)


def plan_nodes(
    assessment: Assessment,
    stack: Stack,
    slots: tuple[int, ...],
    places: Mapping[int, str],
    leaving: Leaving,
) -> NodesStep:
    """The next step of each node. `stack` is what one of them has to run; `slots` are those that are named, and `places`
    the nodes of those that an agent serves. `leaving`: how HAProxies leave a node.
    """
    nodes = assessment.observed.engine.nodes
    gone = away(nodes)
    kept = {slot: node for slot, node in places.items() if node in gone}
    there = {c.slot: c.node for c in assessment.observed.of(haproxy_of(stack).name) if c.slot}
    # One that was created before the gateway had nodes is reached as it was then.
    found = {slot: places.get(slot, "") if slot in slots else node for slot, node in there.items()}
    known = {**kept, **found}
    parts: list[Operation | Wait] = []
    for node in nodes:
        for part in _of(node, assessment, stack, frozenset({*slots, *known}), places, leaving):
            parts.append(part)
            if isinstance(part, OnNode) and isinstance(part.operation, CreateProxy):
                known[part.operation.slot] = node.name
    return NodesStep(Step.of(parts), tuple(sorted(known)), {s: n for s, n in known.items() if n})


def _of(
    node: FrontNode,
    assessment: Assessment,
    stack: Stack,
    taken: frozenset[int],
    places: Mapping[int, str],
    leaving: Leaving,
) -> Iterator[Operation | Wait]:
    if node.lacks_agent:
        yield DeployAgent(node=node.name, cause=Cause.MISSING)
    if node.seen is None or node.problem:
        yield Wait(NODE_LOOK, f"node {node.name}: {node.problem}")
        return
    part = _part(node, assessment, stack)
    if not node.is_wanted:
        yield from leave(node.name, part, leaving)
        return
    lacking = frozenset(
        w.name for w in stack.workloads if w.image in node.seen.missing_images and not part.is_complete(w)
    )
    if lacking:
        part = stand_still(part, lacking)
    yield from stay(part, leaving)
    own = [c for c in part.observed.of(haproxy_of(stack).name) if c.slot]
    door = plan_containers(
        part,
        slot_overlay,
        (),
        "port in spec.listeners",
        # Sockets that no agent serves are in a directory that the next one does not have.
        can_hand_over=all(places.get(c.slot or 0) == node.name for c in own),
        taken=taken,
    )
    steps = (door.step, plan_orphans(part))
    planned = [operation for step in steps for operation in step.operations]
    able, pulls = fetch(stack, part.observed, lacking, planned)
    for each in (*able, *pulls):
        if isinstance(each, Wait):
            yield Wait(each.seconds, f"node {node.name}: {each.reason}" if each.reason else "")
        else:
            yield OnNode.of(node.name, each)
    for step in steps:
        for reason in step.waiting:
            yield Wait(step.requeue_after or NODE_LOOK, f"node {node.name}: {reason}")
        if step.requeue_after is not None:
            yield Wait(step.requeue_after)
    if door.blocked:
        yield Wait(NODE_LOOK, f"node {node.name}: {door.blocked}")


def _part(node: FrontNode, assessment: Assessment, stack: Stack) -> Assessment:
    """What concerns one node."""
    assert node.seen is not None
    mine = {container.id for container in node.seen.containers}
    proxy = assessment.observed.proxy
    instances = tuple(each for each in proxy.instances if each.container in mine)
    return assess(stack, Observation(node.seen, replace(proxy, instances=instances)), assessment.now)
