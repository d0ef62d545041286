"""HAProxy as the front door of a stack: its containers, its steps in a plan, and its capabilities. It does no I/O."""

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
from reconciler.proxy.haproxy.containers import exporter_port, parts
from reconciler.proxy.haproxy.steps import plan_front

__all__ = ["FRONT", "HAProxyFront"]


@dataclass(frozen=True, slots=True)
class HAProxyFront:
    """Implements reconciler.core.plan.front.FrontDoor."""

    capabilities: ProxyCapabilities = field(default_factory=ProxyCapabilities)

    def parts(self, service: VaultService, site: Site, bind: str, key: bytes) -> tuple[Part, ...]:
        """See Front.parts."""
        return parts(service, site, bind, key)

    def steps(
        self, assessment: Assessment, servers: Mapping[str, str], weights: Mapping[str, int]
    ) -> FrontStep:
        """See FrontDoor.steps."""
        return plan_front(assessment, servers, weights, can_hand_over=self.capabilities.handover)

    def exporters(self, stack: Stack, observed: Observation) -> tuple[tuple[int, str], ...]:
        """See FrontDoor.exporters; they are in the namespace of their gateway."""
        gateways = {c.id: c.addresses.get(VAULT_NET) for c in observed.of(stack.gateway.name)}
        return tuple(
            (container.slot, f"{address}:{exporter_port(container.slot)}")
            for container in observed.of(stack.haproxy.name)
            if container.state is State.RUNNING
            and container.slot is not None
            and (address := gateways.get(container.joined or ""))
        )


FRONT: Final = HAProxyFront()
