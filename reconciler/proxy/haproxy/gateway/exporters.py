"""Where the running HAProxies of a gateway serve their own metrics."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.assess.observation import Container, State
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.names import FIRST_NET, GATEWAY_NET
from reconciler.proxy.haproxy.containers import exporter_port
from reconciler.proxy.haproxy.gateway.render import exporter_address

__all__ = ["exporters"]


def exporters(
    stack: Stack, spec: GatewaySpec, containers: Collection[Container]
) -> tuple[tuple[int, str], ...]:
    """Slot and address (IPv4:port) of each; on the host an address of loopback, else that of the namespace's holder in the
    gateway's own network. None with several nodes.
    """
    if stack.nodes is not None:
        # Their addresses are those of another machine's bridge.
        return ()
    own = exporter_address(spec)
    networks = (GATEWAY_NET, f"{FIRST_NET}{stack.project}")
    holders = {
        each.id: next((each.addresses[name] for name in networks if name in each.addresses), "")
        for each in containers
        if each.role is Role.GATEWAY
    }
    return tuple(
        (each.slot, f"{address}:{exporter_port(each.slot)}")
        for each in containers
        if each.role is Role.PROXY and each.state is State.RUNNING and each.slot is not None
        if (address := own or holders.get(each.joined or "", ""))
    )
