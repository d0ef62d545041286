"""Checks gateways: their ports, the DNS records of their hosts, their certificates, and what an ACME server said."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.reasons import Reason
from reconciler.app.certificates import Certificate, certificates
from reconciler.app.checkup.clock import check_synchronised, is_synchronised
from reconciler.app.checkup.dns import Lookup, look_up, own_addresses
from reconciler.app.checkup.finding import Finding, fail, ok, warn
from reconciler.certificates.wanted import Source
from reconciler.controller.reconcile.routing import settle_objects
from reconciler.controller.report.verdict import summarize

if TYPE_CHECKING:
    from reconciler.core.assess.observation import EngineObservation
    from reconciler.core.desired.stack import Stack
    from reconciler.core.routes.table import Table
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Gateways", "check_certificates", "check_gateways", "check_hosts", "check_ports", "probes_of"]

MOST_SHOWN: Final = 20
"""Findings about hosts of one gateway; the rest is a number."""
PROBE: Final = "vault-reconciler-check"
"""The name that stands for all names of a wildcard."""
LOCAL: Final = ("localhost", "test", "invalid", "example")
"""Names below these are in no public DNS."""

Names = Callable[[Collection[str]], Mapping[str, Lookup]]


class Gateways(Protocol):
    """Stored gateways, and their engine."""

    @property
    def objects(self) -> Objects:
        """The objects of all kinds."""

    def permits(self, service: str, host: str) -> bool:
        """Whether the operator lets this service claim this host name."""

    def look_at_gateway(self, stored: StoredObject[Any]) -> tuple[Stack, EngineObservation]:
        """The stack of a gateway, and what runs of it. Raises VaultError."""


def check_gateways(
    application: Gateways,
    now: datetime,
    *,
    with_engine: bool,
    names: Names = look_up,
    addresses: Callable[[], frozenset[str]] = own_addresses,
    synchronised: Callable[[], bool | None] = is_synchronised,
) -> Iterator[Finding]:
    """All checks of the stored gateways; nothing without one."""
    objects = application.objects.of(VAULT_GATEWAY)
    if not objects.names():
        return
    try:
        routing = settle_objects(application.objects, application.permits)
    except VaultError as error:
        yield fail("gateways", str(error), "apply the manifest of that object again")
        return
    unseen: list[str] = []
    found = certificates(application.objects, routing, now, unseen.append)
    yield from (warn("certificates", text, "run it as the controller's user") for text in unseen)
    if found:
        yield from check_synchronised(synchronised())
    own = addresses()
    for name in objects.names():
        check = f"gateway: {name}"
        try:
            stored = objects.get(name)
            if stored is None:
                continue
            yield from _state(check, stored, objects.status(name))
            if with_engine:
                yield from check_ports(check, *application.look_at_gateway(stored))
        except VaultError as error:
            yield fail(check, str(error), f"`vaultctl describe gateway {name}` says more")
        table = routing.tables[name]
        probes = probes_of(table)
        yield from check_hosts(check, probes, names(probes), own)
        yield from check_certificates(check, [each for each in found if each.gateway == name], now)
        if refused := routing.refused(name):
            claims = (
                "1 claim of a service is" if len(refused) == 1 else f"{len(refused)} claims of services are"
            )
            message = f"{claims} refused: {refused[0].claim.service}: {refused[0].message}"
            yield warn(check, message, "`vaultctl routes` lists them")


def _state(check: str, stored: StoredObject[Any], status: Any) -> Iterator[Finding]:
    summary = summarize(stored, status)
    if summary.reason == Reason.STILL_ROUTED:
        yield warn(check, summary.message, "remove those routes, or apply the gateway again to keep it")


def check_ports(check: str, stack: Stack, observed: EngineObservation) -> Iterator[Finding]:
    """Whether its image is present and its ports are free, or its own."""
    for image in sorted(observed.missing_images):
        yield warn(check, f"image {image} is not on this machine and will be pulled", f"docker pull {image}")
    for port, owner in sorted(observed.taken_ports.items()):
        fix = "stop that, or choose another port in spec.listeners"
        yield fail(check, f"port {port} is taken by {owner}", fix)
    if not observed.taken_ports:
        ports = ", ".join(map(str, stack.listens))
        yield ok(check, f"its ports are free or its own: {ports}")


def probes_of(table: Table) -> tuple[str, ...]:
    """The names to ask for: those of its routes that a public DNS can know, a wildcard by a name below it."""
    hosts = {key.host for key in table.http} | {key.host for key in table.tcp if key.host}
    public = {host for host in hosts if "." in host and host.rpartition(".")[2] not in LOCAL}
    return tuple(sorted(host.replace("*", PROBE, 1) for host in public))


def check_hosts(
    check: str, probes: Sequence[str], found: Mapping[str, Lookup], own: frozenset[str]
) -> Iterator[Finding]:
    """Whether each name leads to this machine."""
    strange = [finding for name in probes if (finding := _host(check, name, found[name], own))]
    yield from strange[:MOST_SHOWN]
    if len(strange) > MOST_SHOWN:
        more = f"{len(strange) - MOST_SHOWN} more host names do not lead to this machine"
        yield warn(check, more, "correct the first ones, and ask again")
    if probes and not strange:
        yield ok(
            check, f"{len(probes)} host {'name leads' if len(probes) == 1 else 'names lead'} to this machine"
        )


def _host(check: str, name: str, found: Lookup, own: frozenset[str]) -> Finding | None:
    shown = name.replace(PROBE, "*", 1) if name.startswith(PROBE) else name
    if found.problem:
        message = (
            f"{shown} does not resolve ({found.problem}): clients and certificate authorities cannot find it"
        )
        return warn(check, message, f"make a DNS record of {shown} for this machine")
    if found.addresses.isdisjoint(own):
        places = ", ".join(sorted(found.addresses))
        message = f"{shown} resolves to {places}, which is no address of this machine"
        fix = "correct the record; right if a router or another proxy there forwards to this machine"
        return warn(check, message, fix)
    return None


def check_certificates(check: str, found: Sequence[Certificate], now: datetime) -> Iterator[Finding]:
    """Whether each host that is to have a certificate has one, and what holds a new one up."""
    strange = [each for each in found if each.state != "Valid"]
    for each in strange[:MOST_SHOWN]:
        yield warn(check, f"{each.row.host}: {each.row.trouble or _lacking(each, now)}", _way_out(each))
    if len(strange) > MOST_SHOWN:
        more = (
            f"{len(strange) - MOST_SHOWN} more hosts have no valid certificate, or none that can be renewed"
        )
        yield warn(check, more, "`vaultctl certificate list` lists them")
    if found and not strange:
        ends = min(each.row.not_after for each in found if each.row.not_after)
        valid = "1 certificate is" if len(found) == 1 else f"{len(found)} certificates are"
        yield ok(check, f"{valid} valid, the next end is on {ends:%Y-%m-%d}")


def _lacking(each: Certificate, now: datetime) -> str:
    ended = each.row.not_after
    if ended is None:
        return "there is no certificate yet"
    return (
        f"the certificate has ended on {ended:%Y-%m-%d}"
        if ended <= now
        else "the certificate is not valid yet"
    )


def _way_out(each: Certificate) -> str:
    host = each.row.host
    if each.row.wanted is Source.FILES:
        return f"put a valid certificate for {host} and its key into the files of its route"
    if each.row.wanted is not Source.ACME:
        return "start the controller, which makes it"
    if "rate" in each.row.trouble.lower():
        return "wait until then: each request before counts against the limit"
    return f"correct that, then `vaultctl certificate renew {host} --wait`"
