"""Where the running HAProxies of a gateway serve their own metrics: at an address, or by the agent of their node."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.assess.observation import EngineObservation, State
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.names import FIRST_NET, GATEWAY_NET
from reconciler.proxy.base import ExporterPlace
from reconciler.proxy.haproxy.containers import exporter_port
from reconciler.proxy.haproxy.gateway.on_nodes import away
from reconciler.proxy.haproxy.gateway.render import exporter_address

__all__ = ["exporters"]


def exporters(
    stack: Stack, spec: GatewaySpec, seen: EngineObservation, places: Mapping[int, str]
) -> tuple[ExporterPlace, ...]:
    """Each one's. An address is IPv4:port: on the host one of loopback, else that of the namespace's holder in the
    gateway's own network. With several nodes, `places` say where each slot is; one on a node that is away may be running.
    """
    containers = seen.containers
    if stack.nodes is not None:
        running = {
            each.slot for each in containers if each.role is Role.PROXY and each.state is State.RUNNING
        }
        gone = away(seen.nodes)
        return tuple(
            ExporterPlace(slot, node=node)
            for slot, node in sorted(places.items())
            if slot in running or node in gone
        )
    own = exporter_address(spec)
    networks = (GATEWAY_NET, f"{FIRST_NET}{stack.project}")
    holders = {
        each.id: next((each.addresses[name] for name in networks if name in each.addresses), "")
        for each in containers
        if each.role is Role.GATEWAY
    }
    return tuple(
        ExporterPlace(each.slot, f"{address}:{exporter_port(each.slot)}")
        for each in containers
        if each.role is Role.PROXY and each.state is State.RUNNING and each.slot is not None
        if (address := own or holders.get(each.joined or "", ""))
    )
