"""What the desired state needs of the proxy in front of the replicas: the services that it adds to a stack."""

from __future__ import annotations

from typing import Protocol

from reconciler.api import VaultService
from reconciler.core.desired.stack import Site
from reconciler.core.desired.workloads import Part


class Front(Protocol):
    """Adds the parts of a stack that do not come from a plugin."""

    @property
    def user(self) -> int:
        """Uid and gid that its proxies run as where the controller may give files away, which only root may."""

    @property
    def redispatch(self) -> float:
        """Seconds after which a request to a server that does not answer has gone to another one."""

    def patience(self, hold_seconds: float) -> float:
        """For how long the pool may be empty before a proxy gives up the first request that it holds."""

    def parts(self, service: VaultService, site: Site, bind: str, key: bytes) -> tuple[Part, ...]:
        """The services in front of the replicas, with their workloads and revisions; none if they belong to another stack.

        `bind` is the address of the host that ports are published on, empty for all; `key` is that of revisions.
        """
