"""HAProxy as the front door of a stack: its containers, its steps in a plan, and its capabilities. It does no I/O.

A stack with routes has none of its own: its servers are in pools of a gateway's HAProxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.api import VaultService
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.observation import Observation, State
from reconciler.core.desired.stack import Site, Stack
from reconciler.core.desired.workloads import Part
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.front import FrontStep, ProxyCapabilities
from reconciler.proxy.haproxy.containers import (
    HAPROXY_USER,
    exporter_port,
    haproxy_of,
    holder_of,
    host_exporter,
    parts,
)
from reconciler.proxy.haproxy.steps import plan_front, plan_pool

__all__ = ["FRONT", "HAPROXY_USER", "HAProxyFront"]

REDISPATCH: Final = 4.0
"""Seconds. Some requests still connect to an address that does not answer; they are redispatched after the connect timeout,
2 s. HAProxy's clock counts whole seconds, and the next server that it tries may have died as well.
"""

HOLD_MARGIN: Final = 1.0
"""Seconds before the end of `holdSeconds` by which requests have to be let in: HAProxy counts whole seconds."""


@dataclass(frozen=True, slots=True)
class HAProxyFront:
    """Implements reconciler.core.plan.front.FrontDoor."""

    capabilities: ProxyCapabilities = field(default_factory=ProxyCapabilities)
    user: int = HAPROXY_USER
    redispatch: float = REDISPATCH

    def patience(self, hold_seconds: float) -> float:
        """See Front.patience."""
        return max(0.0, hold_seconds - HOLD_MARGIN)

    def parts(self, service: VaultService, site: Site, bind: str, key: bytes) -> tuple[Part, ...]:
        """See Front.parts."""
        return () if service.spec.is_routed else parts(service, site, bind, key)

    def steps(
        self, assessment: Assessment, servers: Mapping[str, str], weights: Mapping[str, int]
    ) -> FrontStep:
        """See FrontDoor.steps."""
        if assessment.stack.routed is not None:
            return plan_pool(assessment, servers, weights)
        return plan_front(assessment, servers, weights, can_hand_over=self.capabilities.handover)

    def exporters(self, stack: Stack, observed: Observation) -> tuple[tuple[int, str], ...]:
        """See FrontDoor.exporters; they are in the namespace of their gateway, or on loopback."""
        if stack.routed is not None:
            return ()
        holder = holder_of(stack)
        own = host_exporter(stack.published) if holder is None else ""
        gateways = {c.id: c.addresses.get(VAULT_NET) for c in observed.of(holder.name)} if holder else {}
        return tuple(
            (container.slot, f"{address}:{exporter_port(container.slot)}")
            for container in observed.of(haproxy_of(stack).name)
            if container.state is State.RUNNING
            and container.slot is not None
            and (address := own or gateways.get(container.joined or ""))
        )


FRONT: Final = HAProxyFront()
