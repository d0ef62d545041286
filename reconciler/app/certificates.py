"""The certificates of all gateways: what each host has, until when, what is in its way, and a request for a new one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.app.finding import NotFoundError
from reconciler.certificates.keeper import directory_of
from reconciler.certificates.listing import Row, listed
from reconciler.certificates.store import Store
from reconciler.certificates.wanted import Source, wanted
from reconciler.store.base import readable

if TYPE_CHECKING:
    from reconciler.controller.reconcile.routing import Routing
    from reconciler.store.base import Objects

__all__ = [
    "Certificate",
    "certificate_document",
    "certificates",
    "is_renewed",
    "named",
    "request_renewal",
    "require_renewable",
]


@dataclass(frozen=True)
class Certificate:
    """The certificate of one host of a gateway, or what there is instead."""

    gateway: str
    row: Row

    @property
    def state(self) -> str:
        """One word: a host without a certificate meets the gateway's default one."""
        if self.row.not_after is None:
            return "Missing"
        if not self.row.is_valid:
            return "Ended"
        return "RenewalFails" if self.row.trouble else "Valid"


def certificates(
    objects: Objects[Any, Any], routing: Routing, now: datetime, warn: Callable[[str], None]
) -> list[Certificate]:
    """A certificate for each host that is to have one, by gateway and host; `warn` is told of what cannot be read."""
    found: list[Certificate] = []
    gateways = objects.of(VAULT_GATEWAY)
    for name, table in routing.tables.items():
        stored = readable(gateways, name)
        if stored is None or not (wants := wanted(table, stored.resource.spec)):
            continue
        try:
            rows = listed(store_of(objects, name), wants, stored.resource.spec.acme, now)
        except TemporaryError as error:
            warn(f"the certificates of gateway {name} are not shown: {error}")
            continue
        found += [Certificate(name, row) for row in rows]
    return found


def store_of(objects: Objects[Any, Any], gateway: str) -> Store:
    """Where a gateway's certificates are."""
    return Store(directory_of(objects.of(VAULT_GATEWAY).directory(gateway)))


def named(found: Sequence[Certificate], hosts: Collection[str]) -> list[Certificate]:
    """Those of these hosts. Raises NotFoundError for a host that is to have none."""
    known = sorted({each.row.host for each in found})
    for host in hosts:
        if host not in known:
            from reconciler.api.diagnosis import nearest

            near = nearest(host, known)
            hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(known) or 'none'}"
            raise NotFoundError(f"no route has {host!r} with a certificate; {hint}")
    return [each for each in found if each.row.host in hosts]


def request_renewal(objects: Objects[Any, Any], chosen: Sequence[Certificate], now: datetime) -> None:
    """Ask for new certificates of these hosts, whatever their age and their failures, and for a pass that sees that.

    Raises VaultError, before anything is asked for, for one that no server issues.
    """
    for each in chosen:
        require_renewable(each)
    for gateway in dict.fromkeys(each.gateway for each in chosen):
        names = tuple(each.row.host for each in chosen if each.gateway == gateway)
        store_of(objects, gateway).request_renewal(names)
        objects.of(VAULT_GATEWAY).request_pass(gateway, now.isoformat())


def require_renewable(each: Certificate) -> None:
    """Raises VaultError for one that no server issues."""
    if each.row.wanted is not Source.ACME:
        raise VaultError(f"the certificate of {each.row.host} {_WAYS[each.row.wanted]}")


_WAYS = {
    Source.FILES: "comes from files that you renew: replace them, and the next pass reads them",
    Source.SELF_SIGNED: "is self-signed and renewed by the controller; set tls.certificate: acme for another one",
    Source.NONE: "is not wanted by its route",
}


def is_renewed(before: Certificate, after: Certificate) -> bool:
    """Whether there is another certificate than before. Raises VaultError for an attempt that has failed since."""
    if after.row.not_after is not None and after.row.not_after != before.row.not_after:
        return True
    if after.row.trouble and after.row.trouble != before.row.trouble:
        raise VaultError(f"{after.row.host}: {after.row.trouble}")
    return False


def certificate_document(each: Certificate) -> dict[str, Any]:
    """The same for programs; times are RFC 3339."""
    row = each.row
    return {
        "host": row.host,
        "gateway": each.gateway,
        "route": row.route,
        "state": each.state,
        "wanted": row.wanted.value,
        "source": row.source.value if row.source else None,
        "issuer": row.issuer,
        "notAfter": row.not_after.isoformat() if row.not_after else None,
        "renewAt": row.renew_at.isoformat() if row.renew_at else None,
        "message": row.trouble,
    }
