"""The routes of all objects, settled: which service has which host, path and port of which gateway.

Every pass computes this from the same objects, so that a gateway and its services agree without telling each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import Refusal, Table, settle

if TYPE_CHECKING:
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Permit", "Routing", "everything", "settle_objects"]

Permit = Callable[[str, str], bool]
"""Whether a service (its name) may claim a host name."""

_BEGINNING: Final = datetime.fromtimestamp(0, UTC)


def everything(service: str, host: str) -> bool:
    """A Permit that lets each service claim each host name."""
    return True


@dataclass(frozen=True, slots=True)
class Routing:
    """The table of each gateway by its name, the claims that are refused, and the services that have routes, by name."""

    tables: Mapping[str, Table]
    refusals: tuple[Refusal, ...]
    claimants: Mapping[str, Claimant]

    def refused(self, gateway: str) -> tuple[Refusal, ...]:
        """The refused claims on a gateway, also of those that rely on it being the only one."""
        only = gateway if len(self.tables) == 1 else None
        return tuple(each for each in self.refusals if (each.claim.gateway or only) == gateway)


def settle_objects(objects: Objects[Any, Any], permits: Permit = everything) -> Routing:
    """Settle the routes of all services on all gateways. A service that is being deleted has none; a gateway that is being
    deleted keeps its routes until it is gone.

    Raises VaultError: with an object that cannot be read it is unknown what belongs to whom, and nothing is to be changed.
    """
    gateways = {each.name: each.resource.spec for each in _stored(objects.of(VAULT_GATEWAY))}
    services = objects.of(VAULT_SERVICE)
    claimants = [
        Claimant(
            each.name,
            services.since(each.name) or _BEGINNING,
            each.resource.spec.all_routes,
            each.resource.spec.tcp,
        )
        for each in _stored(services)
        if each.deletion is None and (each.resource.spec.all_routes or each.resource.spec.tcp)
    ]
    tables, refusals = settle(gateways, claimants, permits)
    return Routing(tables, refusals, {claimant.name: claimant for claimant in claimants})


def _stored(objects: Objects[Any, Any]) -> Iterator[StoredObject[Any]]:
    for name in objects.names():
        if stored := objects.get(name):
            yield stored
