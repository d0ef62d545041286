"""What is in the way of certificates, for conditions, events and `vaultctl`: which names, one word, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.api.acme import Acme
from reconciler.certificates.choosing import Held
from reconciler.certificates.errors import Why
from reconciler.certificates.order import file_id
from reconciler.certificates.store import State
from reconciler.certificates.wanted import Source, Want

__all__ = ["Trouble", "away_key", "orderable", "troubles_of"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why names (sorted) have no certificate of the wanted kind, or one that is not renewed; `message` says what to do."""

    names: tuple[str, ...]
    why: Why
    message: str


def away_key(acme: Acme) -> str:
    """What stands for a server in the state. With all that the spec says about it: a changed spec is tried at once."""
    return f"{acme.server} {file_id(acme.model_dump_json())}"


def orderable(wants: Collection[Want], acme: Acme | None) -> Iterator[Want]:
    """The wants without names that cannot be ordered as the spec stands."""
    for want in wants:
        if want.source is Source.ACME and acme:
            names = tuple(name for name in want.names if not _needs_dns(name, acme))
            if names:
                yield replace(want, names=names)


def _needs_dns(name: str, acme: Acme) -> bool:
    return name.startswith("*.") and acme.challenge != "dns-01"


def troubles_of(
    wants: Collection[Want], acme: Acme | None, state: State, hosts: Mapping[str, Held], now: datetime
) -> Iterator[Trouble]:
    """What is in the way of certificates by ACME; `hosts` are the certificates that serve."""
    for want in wants:
        if want.source is not Source.ACME:
            continue
        if acme is None:
            message = "the route wants a certificate by ACME; set spec.acme of the gateway, or another tls.certificate"
            yield Trouble(want.names, Why.NO_ACCOUNT, message)
            continue
        if wild := tuple(name for name in want.names if _needs_dns(name, acme)):
            message = f"{wild[0]} can only be checked by dns-01; set spec.acme.challenge of the gateway to it"
            yield Trouble(wild, Why.NEEDS_DNS, message)
        for name in want.names:
            if failure := state.failures.get(name):
                message = f"{failure.message}; next try at {failure.next_at:%Y-%m-%d %H:%M:%S} UTC"
                yield Trouble((name,), failure.why, f"{message}{_goes_on(hosts.get(name), now)}")
        if away := state.away.get(away_key(acme)):
            message = f"{away.message}; next try at {away.next_at:%Y-%m-%d %H:%M:%S} UTC"
            yield Trouble(want.names, away.why, message)


def _goes_on(held: Held | None, now: datetime) -> str:
    if held is None:
        return "; until then clients meet the gateway's own certificate"
    if held.is_valid(now):
        return f"; the certificate that is there serves until {held.bundle.certificate.not_after:%Y-%m-%d}"
    return "; the certificate that is there has ended"
