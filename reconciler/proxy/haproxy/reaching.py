"""How the rest reaches HAProxies, one by one, on this node or on another.

`reach` is the real one for this node: the socket of the master. What only gateways need is imported by the first call for
one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reconciler.core.desired.stack import Site
from reconciler.proxy.base import Counted, NewServer
from reconciler.proxy.haproxy.runtime import Runtime
from reconciler.proxy.haproxy.socket import Master
from reconciler.proxy.haproxy.stats import Process

if TYPE_CHECKING:
    from reconciler.proxy.haproxy.gateway.activity import PoolActivity
    from reconciler.proxy.haproxy.gateway.certificates import Loaded
    from reconciler.proxy.haproxy.gateway.maps import Maps
    from reconciler.proxy.haproxy.gateway.tls_files import Certificates

__all__ = ["OneHAProxy", "Pool", "Reach", "reach"]


class Pool(Protocol):
    """A pool in one HAProxy; see Runtime. Everything may raise ProxyError."""

    def processes(self) -> tuple[Process, ...]:
        """All workers, the current one first."""

    def serves(self) -> bool:
        """Whether its HAProxy takes connections, although it may not answer; raises nothing."""

    def add_servers(self, servers: Sequence[NewServer], options: Callable[[str], str]) -> None:
        """Add servers and enable them."""

    def set_weights(self, weights: Sequence[tuple[str, int]]) -> None:
        """Give servers another share of new requests."""

    def drain_servers(self, names: Sequence[str]) -> None:
        """Send nothing new to these servers."""

    def restore_servers(self, names: Sequence[str]) -> None:
        """Send new requests to these drained servers again."""

    def delete_servers(self, names: Sequence[str], *, force: bool) -> None:
        """Delete these servers."""

    def reload(self, expected: str, *, every_pool: bool = False) -> None:
        """Start a worker with the written configuration."""


class OneHAProxy(Protocol):
    """One HAProxy of a gateway, within a time. Everything may raise ProxyError."""

    def pool(self, name: str) -> Pool:
        """One of its pools."""

    def read_maps(self, names: Iterable[str], pid: int = 0) -> Maps:
        """Those of these maps that it has."""

    def change_maps(self, wanted: Maps) -> None:
        """Make these its maps."""

    def set_entries(self, entries: Maps) -> None:
        """Give these keys of maps these values."""

    def led_to(self) -> frozenset[str]:
        """The pools that its routes lead to."""

    def pools(self) -> frozenset[str]:
        """The pools that it has."""

    def activity(self, pools: Sequence[str]) -> Iterable[PoolActivity]:
        """What each of its processes knows of the requests to these pools."""

    def read_certificates(self) -> Loaded:
        """The certificates that it has."""

    def change_certificates(self, wanted: Certificates) -> None:
        """Make these its certificates."""

    def counted(self, pools: Sequence[str]) -> Counted:
        """What its process that takes connections has counted for these pools."""

    def metrics(self) -> str:
        """Its own metrics, as text for Prometheus, and those of its routes; of one that serves them at no address."""


Reach = Callable[[Site, int, float], OneHAProxy]
"""The HAProxy in a slot; what is asked of it has to be answered within so many seconds."""


@dataclass(frozen=True, slots=True)
class _Reached:
    """Implements OneHAProxy with the socket of its master."""

    master: Master

    def pool(self, name: str) -> Runtime:
        """See OneHAProxy.pool."""
        return Runtime(self.master, name)

    def read_maps(self, names: Iterable[str], pid: int = 0) -> Maps:
        """See OneHAProxy.read_maps."""
        from reconciler.proxy.haproxy.gateway.transactions import read_maps

        return read_maps(self.master, names, pid)

    def change_maps(self, wanted: Maps) -> None:
        """See OneHAProxy.change_maps."""
        from reconciler.proxy.haproxy.gateway.transactions import change_maps

        change_maps(self.master, wanted)

    def set_entries(self, entries: Maps) -> None:
        """See OneHAProxy.set_entries."""
        from reconciler.proxy.haproxy.gateway.transactions import set_entries

        set_entries(self.master, entries)

    def led_to(self) -> frozenset[str]:
        """See OneHAProxy.led_to."""
        from reconciler.proxy.haproxy.gateway.transactions import led_to

        return led_to(self.master)

    def pools(self) -> frozenset[str]:
        """See OneHAProxy.pools."""
        from reconciler.proxy.haproxy.gateway.transactions import read_pools

        return read_pools(self.master)

    def activity(self, pools: Sequence[str]) -> Iterable[PoolActivity]:
        """See OneHAProxy.activity."""
        from reconciler.proxy.haproxy.gateway.activity import read_activity

        return read_activity(self.master, pools)

    def read_certificates(self) -> Loaded:
        """See OneHAProxy.read_certificates."""
        from reconciler.proxy.haproxy.gateway.certificates import read_certificates

        return read_certificates(self.master)

    def change_certificates(self, wanted: Certificates) -> None:
        """See OneHAProxy.change_certificates."""
        from reconciler.proxy.haproxy.gateway.certificates import change_certificates

        change_certificates(self.master, wanted)

    def counted(self, pools: Sequence[str]) -> Counted:
        """See OneHAProxy.counted."""
        from reconciler.proxy.haproxy.counting import read_counted

        return read_counted(self.master, pools)

    def metrics(self) -> str:
        """See OneHAProxy.metrics."""
        from reconciler.proxy.haproxy.gateway.own_metrics import read_metrics

        return read_metrics(self.master)


def reach(site: Site, slot: int, seconds: float) -> OneHAProxy:
    """A Reach for HAProxies that run."""
    return _Reached(Master(site, slot, time.monotonic() + seconds))
