"""The certificates of a gateway as rows: for `vaultctl certificate list`, for routes, status and metrics.

Reads the store and changes nothing, so any process that may read the files can call it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from reconciler.api.acme import Acme
from reconciler.certificates.choosing import Held, chosen
from reconciler.certificates.store import Store
from reconciler.certificates.troubles import troubles_of
from reconciler.certificates.wanted import Source, Want

__all__ = ["Row", "listed"]


@dataclass(frozen=True, slots=True)
class Row:
    """The certificate of a host. `wanted` is where it should come from, `source` where the one that serves came from;
    without one, that and all after it are None. `trouble` is a sentence, or empty.
    """

    host: str
    route: str
    wanted: Source
    source: Source | None = None
    issuer: str | None = None
    not_after: datetime | None = None
    renew_at: datetime | None = None
    is_valid: bool = False
    trouble: str = ""

    def days_left(self, now: datetime) -> float | None:
        """Days until it ends; negative for one that has ended."""
        return (self.not_after - now).total_seconds() / 86400 if self.not_after else None


def listed(store: Store, wants: Collection[Want], acme: Acme | None, now: datetime) -> tuple[Row, ...]:
    """A row for each host that is to have a certificate, in order. Raises TemporaryError for what the disk refuses."""
    state = store.state()
    serving = chosen(wants, store.held(state), now)
    troubles: dict[str, str] = {}
    for trouble in troubles_of(wants, acme, state, serving, now):
        for name in trouble.names:
            troubles.setdefault(name, trouble.message)
    rows = (
        _row(host, want, serving.get(host), troubles.get(host, ""), now)
        for want in wants
        for host in want.names
    )
    return tuple(sorted(rows, key=lambda row: row.host))


def _row(host: str, want: Want, held: Held | None, trouble: str, now: datetime) -> Row:
    if held is None:
        return Row(host, want.route, want.source, trouble=trouble)
    return Row(
        host,
        want.route,
        want.source,
        held.source,
        held.bundle.certificate.issuer,
        held.bundle.certificate.not_after,
        # The user renews files.
        None if held.source is Source.FILES else held.renew_at,
        held.is_valid(now),
        trouble,
    )
