"""The ways on which requests reach a service: its pools in each gateway, and the slots in which that has HAProxies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.core.routes.routed import Routed
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.access import FILES, Files
from reconciler.proxy.haproxy.gateway.pools import Need, need_of

__all__ = ["Needs", "Way", "needs_of_service", "ways_of"]

SLOT_NUMBERS: Final = 10_000
"""Slots that one gateway may have, so that those of several gateways have names that differ."""

Needs = Mapping[str, frozenset[Need]]
"""The pools that a service needs, by gateway."""


@dataclass(frozen=True, slots=True)
class Way:
    """A gateway in which a service has pools: `pools` are those that it needs, `kept` former ones that requests still come
    to, and `former` those that its gateway is to take back; all with the port of the replicas, 0 for that of the service.
    `number` tells gateways apart.
    """

    gateway: str
    number: int
    site: Site
    pools: Mapping[str, int]
    former: Mapping[str, int]
    slots: tuple[int, ...]
    kept: Mapping[str, int] = field(default_factory=dict)

    @property
    def served(self) -> Mapping[str, int]:
        """The pools whose servers are the service's business."""
        return {**self.pools, **self.kept}

    def keeping(self, pools: Collection[str]) -> Way:
        """The same way, when requests come to these pools."""
        kept = {pool: port for pool, port in self.former.items() if pool in pools}
        former = {pool: port for pool, port in self.former.items() if pool not in pools}
        return replace(self, kept=kept, former=former)

    @property
    def every_pool(self) -> Mapping[str, int]:
        """All pools that may have its servers; there is at least one."""
        return {**self.served, **self.former}

    def code(self, slot: int) -> int:
        """The name of a slot in operations."""
        return self.number * SLOT_NUMBERS + slot

    def slot(self, code: int) -> int | None:
        """The slot that has this name, if it is one of this gateway."""
        number, slot = divmod(code, SLOT_NUMBERS)
        return slot if number == self.number and slot in self.slots else None


def needs_of_service(service: str, routed: Routed) -> Needs:
    """The pools that the routes of a service need."""
    needs: dict[str, set[Need]] = {}
    for grant in routed.grants:
        if need := need_of(service, grant.route):
            needs.setdefault(grant.gateway, set()).add(need)
    return {gateway: frozenset(each) for gateway, each in needs.items()}


def ways_of(
    service: str,
    needs: Needs,
    sites: Mapping[str, Site],
    numbers: Mapping[str, int],
    files: Files = FILES,
) -> Iterator[Way]:
    """The ways on which a service has pools now. `sites` and `numbers` are those of all gateways. Raises ProxyError."""
    for gateway, site in sorted(sites.items()):
        try:
            held = {need: pool for need, pool in files.read_held(site).items() if need.service == service}
            slots = files.read_slots(site) if held else ()
        except OSError as error:
            raise ProxyError(f"cannot read the directory of gateway {gateway}: {error}") from error
        if held:
            wanted = needs.get(gateway, frozenset())
            pools = {pool: need.port for need, pool in sorted(held.items()) if need in wanted}
            former = {pool: need.port for need, pool in sorted(held.items()) if need not in wanted}
            yield Way(gateway, numbers[gateway], site, pools, former, slots)
