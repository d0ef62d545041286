"""The routes of all objects, settled: which service has which host, path and port of which gateway.

Every pass computes this from the same objects, so that a gateway and its services agree without telling each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE
from reconciler.api.reasons import Reason
from reconciler.controller.reconcile.login_files import read_login_files
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.routed import Routed, routed_of
from reconciler.core.routes.table import Refusal, Table, settle
from reconciler.store.base import UnreadableError, readable

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Permit", "Router", "Routing", "everything", "settle_objects"]

Permit = Callable[[str, str], bool]
"""Whether a service (its name) may claim a host name."""

_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


def everything(service: str, host: str) -> bool:
    """A Permit that lets each service claim each host name."""
    return True


@dataclass(frozen=True, slots=True)
class Routing:
    """The table of each gateway by its name, the claims that are refused, and the services that have routes, by name.
    `ports` are those of the host that each gateway opens. `unreadable` are the services whose routes are those of the last
    object that could be read, and what is wrong with theirs.
    """

    tables: Mapping[str, Table]
    refusals: tuple[Refusal, ...]
    claimants: Mapping[str, Claimant]
    ports: Mapping[str, frozenset[int]]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def refused(self, gateway: str) -> tuple[Refusal, ...]:
        """The refused claims on a gateway, also of those that rely on it being the only one."""
        only = gateway if len(self.tables) == 1 else None
        return tuple(each for each in self.refusals if (each.claim.gateway or only) == gateway)

    def unread(self, gateway: str) -> Mapping[str, str]:
        """Of the services that cannot be read, those with routes on a gateway, and what is wrong with each."""
        services = set(self.tables[gateway].services.values())
        return {name: text for name, text in self.unreadable.items() if name in services}


def settle_objects(
    objects: Objects[Any, Any], permits: Permit = everything, instead: VaultService | None = None
) -> Routing:
    """Settle the routes of all services on all gateways. A service that is being deleted has none; a gateway that is being
    deleted keeps its routes until it is gone. `instead` counts in place of the stored service of its name; one that is not
    stored yet comes after all others.

    An object that cannot be read counts as it was last written, so that it keeps what it has and all others go on. Raises
    VaultError if that is lost too: it is unknown which service has which route then, and nothing is to be changed.
    """
    gateways = {each.name: each.resource.spec for each in _stored(objects.of(VAULT_GATEWAY))}
    services = objects.of(VAULT_SERVICE)
    stored = _stored(services, instead.name if instead else "")
    wanted = {each.name: each.resource.spec for each in stored if each.deletion is None}
    if instead is not None:
        wanted[instead.name] = instead.spec
    claimants = [
        Claimant(name, services.since(name) or _NEWEST, spec.all_routes, spec.tcp, spec.is_stopped)
        for name, spec in wanted.items()
        if spec.is_routed
    ]
    tables, refusals = settle(gateways, claimants, permits)
    ports = {name: frozenset(each.port for each in spec.listeners) for name, spec in gateways.items()}
    unreadable = {
        each.name: each.problem for each in stored if each.problem_reason == Reason.OBJECT_UNREADABLE
    }
    return Routing(tables, refusals, {each.name: each for each in claimants}, ports, unreadable)


class Router:
    """Settles the routes of stored objects for one pass after the other, and only anew when an object has changed: a pass
    must not read all objects. Threads may share it.
    """

    def __init__(self, objects: Objects[Any, Any], permits: Permit = everything) -> None:
        self._objects = objects
        self._permits = permits
        self._known: tuple[object, Routing] | None = None

    def routed(self, service: VaultService) -> Routed | None:
        """What a service gets of gateways; None for one with a front door of its own. Raises VaultError."""
        spec = service.spec
        if not spec.is_routed:
            return None
        try:
            settled = self.settled()
        except UnreadableError:
            # It may be this one, which is about to be replaced.
            settled = settle_objects(self._objects, self._permits, service)
        mine = settled.claimants.get(service.name)
        if mine is None or (mine.routes, mine.tcp) != (spec.all_routes, spec.tcp):
            # It is about to be stored, or a former one.
            settled = settle_objects(self._objects, self._permits, service)
        named = [each.auth.basic.file for each in spec.all_routes if each.auth and each.auth.basic]
        files = read_login_files(named)
        return routed_of(service.name, settled.tables, settled.refusals, settled.ports, files)

    def settled(self) -> Routing:
        """The routes of all stored objects. Raises VaultError as `settle_objects` does."""
        stamps = tuple(self._objects.of(kind).stamp() for kind in (VAULT_GATEWAY, VAULT_SERVICE))
        known = self._known
        if known is not None and None not in stamps and known[0] == stamps:
            return known[1]
        routing = settle_objects(self._objects, self._permits)
        # A file that is repaired in its place changes no stamp.
        self._known = None if routing.unreadable else (stamps, routing)
        return routing


def _stored(objects: Objects[Any, Any], other: str = "") -> tuple[StoredObject[Any], ...]:
    """All but an `other` one."""
    found = (readable(objects, name) for name in objects.names() if name != other)
    return tuple(stored for stored in found if stored)
