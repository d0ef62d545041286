"""Which of the certificates that are there serves a host, and which new ones are to be ordered: pure functions.

A certificate serves until a better one is there, also one that has ended: without it clients would meet the gateway's
default, which is worse. Names that failed are ordered on their own, so that they keep no other name from its certificate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.certificates.certificate import Bundle
from reconciler.certificates.renewal import Failure, Window, renewal_time
from reconciler.certificates.wanted import Source, Want

__all__ = ["Held", "chosen", "due", "next_renewal", "unused"]


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate of the store. `file` is its name there; `window` is what the server said about its renewal."""

    file: str
    source: Source
    bundle: Bundle
    window: Window | None = None

    @property
    def renew_at(self) -> datetime:
        """When it is to be renewed."""
        return renewal_time(self.bundle.certificate, self.window)

    def is_valid(self, now: datetime) -> bool:
        """Whether clients accept its time."""
        return self.bundle.certificate.not_before <= now < self.bundle.certificate.not_after


def chosen(wants: Iterable[Want], held: Collection[Held], now: datetime) -> dict[str, Held]:
    """The certificate of each host that has one: one that is valid, of the wanted source, that ends last."""
    found: dict[str, Held] = {}
    for want in wants:
        for host in want.names:
            covering = [each for each in held if each.bundle.certificate.covers(host)]
            if covering:
                found[host] = max(covering, key=lambda each: _rank(each, want, now))
    return found


def _rank(held: Held, want: Want, now: datetime) -> tuple[bool, bool, datetime, str]:
    certificate = held.bundle.certificate
    return (
        held.is_valid(now),
        held.source is want.source,
        certificate.not_after,
        certificate.fingerprints[0],
    )


def due(
    wants: Iterable[Want],
    held: Collection[Held],
    failures: Mapping[str, Failure],
    ordered: Collection[str],
    forced: Collection[str],
    now: datetime,
) -> Iterator[tuple[str, ...]]:
    """The sets of names to order from an ACME server now.

    `ordered` are the names of unfinished orders, `forced` those whose renewal the user asked for.
    """
    for want in wants:
        if want.source is not Source.ACME:
            continue
        best = chosen([want], [each for each in held if each.source is Source.ACME], now)
        needed = {name for name in want.names if name in forced or _is_due(best.get(name), now)}
        waiting = {name for name in want.names if name in failures and failures[name].next_at > now}
        if ready := needed - waiting - set(ordered):
            yield from _sets(want, ready, failures, ordered)


def _is_due(held: Held | None, now: datetime) -> bool:
    return held is None or not held.is_valid(now) or held.renew_at <= now


def _sets(
    want: Want, ready: set[str], failures: Mapping[str, Failure], ordered: Collection[str]
) -> Iterator[tuple[str, ...]]:
    """The whole set of the want without those that failed, if one of it is needed; each of those alone."""
    sound = [name for name in want.names if name not in failures and name not in ordered]
    if ready.intersection(sound):
        yield tuple(sound)
    yield from ((name,) for name in want.names if name in ready and name in failures)


def next_renewal(wants: Iterable[Want], held: Collection[Held], now: datetime) -> datetime | None:
    """When the next certificate is to be renewed."""
    acme = [want for want in wants if want.source is Source.ACME]
    served = chosen(acme, [each for each in held if each.source is Source.ACME], now).values()
    return min((each.renew_at for each in served if each.renew_at > now), default=None)


def unused(wants: Iterable[Want], held: Collection[Held], now: datetime) -> Iterator[Held]:
    """Certificates that can go: those that serve no host and have ended, or whose source is the user's to keep.

    Others stay: a route that comes back tomorrow needs no new one, and authorities count how many they issue.
    """
    serving = {each.file for each in chosen(wants, held, now).values()}
    for each in held:
        if each.file not in serving and (each.source is not Source.ACME or not each.is_valid(now)):
            yield each
