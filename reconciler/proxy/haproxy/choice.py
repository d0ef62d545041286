"""The proxy of every stack: its own HAProxies, or those of gateways for a stack with routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from reconciler.core.assess.observation import Container, ProxyObservation
from reconciler.core.desired.stack import Site, Stack
from reconciler.core.plan.front import FrontDoor
from reconciler.proxy.base import NewServer, Proxy
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.files import Validate
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.haproxy.proxy import HAProxy
from reconciler.proxy.haproxy.reaching import Reach, reach

if TYPE_CHECKING:
    from reconciler.proxy.haproxy.gateway.servers import GatewayServers

__all__ = ["HAProxies"]


class HAProxies:
    """Implements reconciler.proxy.base.Proxy; any thread may use it for any stack. See HAProxy and GatewayServers."""

    front: Final[FrontDoor] = FRONT

    def __init__(
        self,
        validate: Validate,
        sites: Callable[[], Mapping[str, Site]],
        clock: Callable[[], float],
        at: Reach = reach,
    ) -> None:
        self._events = ServerEvents()
        self._own = HAProxy(validate, clock, self._events, at)
        self._sites, self._clock, self._at = sites, clock, at

    @cached_property
    def _shared(self) -> GatewayServers:
        """The proxy of stacks with routes, which most commands have nothing to do with."""
        from reconciler.proxy.haproxy.gateway.servers import GatewayServers

        return GatewayServers(self._sites, self._clock, self._events, at=self._at)

    def closed(self, stack: Stack) -> str:
        """See Proxy.closed."""
        return self._of(stack).closed(stack)

    def withdraw(self, name: str, *, force: bool) -> int:
        """See Proxy.withdraw."""
        return self._shared.withdraw(name, force=force)

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """See Proxy.observe."""
        return self._of(stack).observe(stack, containers)

    def events(self) -> Iterator[str]:
        """See Proxy.events."""
        return self._events.follow()

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        """See Proxy.configure."""
        self._of(stack).configure(stack, servers, weights)

    def reload(self, stack: Stack, slot: int) -> None:
        """See Proxy.reload."""
        self._of(stack).reload(stack, slot)

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """See Proxy.add_servers."""
        self._of(stack).add_servers(stack, slots, servers)

    def set_weights(self, stack: Stack, slots: Sequence[int], weights: Sequence[tuple[str, int]]) -> None:
        """See Proxy.set_weights."""
        self._of(stack).set_weights(stack, slots, weights)

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        """See Proxy.drain_servers."""
        self._of(stack).drain_servers(stack, slots, servers)

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        """See Proxy.delete_servers."""
        self._of(stack).delete_servers(stack, slots, servers, force=force)

    def _of(self, stack: Stack) -> Proxy:
        return self._own if stack.routed is None else self._shared
