"""How the rest reaches the files of gateways. The proxy in memory has others; `FILES` are the real ones, the directory that
HAProxy reads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Protocol

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.files import Validate
from reconciler.proxy.haproxy.gateway import directory
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway
from reconciler.proxy.haproxy.gateway.maps import Maps
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, WrittenPool
from reconciler.proxy.haproxy.gateway.pools import Need

__all__ = ["FILES", "Files"]


class Files(Protocol):
    """The directories of gateways; see gateway/directory.py. Everything may raise OSError, and what writes ValueError."""

    def read_gateway(self, site: Site) -> WrittenGateway:
        """What is written."""

    def read_held(self, site: Site) -> Mapping[Need, str]:
        """Who has which pool."""

    def read_slots(self, site: Site) -> tuple[int, ...]:
        """The slots that have a HAProxy, or are about to get one."""

    def read_places(self, site: Site) -> Mapping[int, str]:
        """The nodes of those of these slots that an agent serves."""

    def read_pools(self, site: Site, pools: Collection[str]) -> Mapping[str, WrittenPool | None]:
        """What the files of these pools say."""

    def validate(self, site: Site, image: str, files: Mapping[str, str], judge: Validate) -> None:
        """Let an image judge files before they are used."""

    def write_routes(self, site: Site, held: Mapping[Need, str], maps: Maps) -> None:
        """Write the maps, and who has which pool."""

    def write_configuration(self, site: Site, spec: GatewaySpec, pools: Collection[str], image: str) -> None:
        """Write what takes a reload."""

    def write_slots(self, site: Site, slots: Collection[int], nodes: Mapping[int, str]) -> None:
        """Say which slots have a HAProxy, and on which of the `nodes` with an agent."""

    def write_pool(
        self, site: Site, pool: str, servers: Collection[PoolServer], settings: PoolSettings | None
    ) -> None:
        """Write the file of a pool."""


FILES: Final[Files] = directory
