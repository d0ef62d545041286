"""The first page: all services, those with a problem first. Filters and order are in its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from reconciler.api.errors import VaultError
from reconciler.api.reasons import Reason
from reconciler.app.cluster.traffic import Numbers
from reconciler.app.documents import claimed
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.store.base import readable
from reconciler.web.ui.ends import FEW_DAYS, days_until, ends_of
from reconciler.web.ui.numbers import Texts, p95_of, texts_of
from reconciler.web.ui.rendering import render
from reconciler.web.ui.site import Asked, Site

if TYPE_CHECKING:
    from metrics.snapshots import ServiceSnapshot
    from reconciler.web.ui.live import Render

__all__ = ["COLUMNS", "STATES", "Row", "Selection", "changes", "overview", "rows_of", "selection_of"]

STATES: Final[Mapping[str, str]] = {
    Verdict.FAILED: "failed",
    Verdict.MOVING: "changing",
    Verdict.READY: "ready",
    Verdict.IDLE: "suspended",
}
"""The states in the order in which people look for them, and their words."""
NUMBERS: Final[Mapping[str, Callable[[Numbers], float | None]]] = {
    "rate": lambda numbers: numbers.last.rate if numbers.last else None,
    "errors": lambda numbers: numbers.last.tally.error_share if numbers.last else None,
    "p95": lambda numbers: p95_of(numbers.last) if numbers.last else None,
    "cpu": lambda numbers: numbers.load.cpu if numbers.load else None,
    "memory": lambda numbers: numbers.load.memory if numbers.load else None,
}
"""The numbers of the last minute by which services can be ordered, the highest first."""
COLUMNS: Final[Mapping[str, str]] = {
    "name": "Service",
    "state": "State",
    "replicas": "Serving",
    "rate": "Requests/s",
    "errors": "Errors",
    "p95": "p95",
    "cpu": "CPU",
    "memory": "Memory",
    "age": "Oldest replica",
    "certificate": "Certificate",
}
"""The orders that there are, and the columns whose titles lead to them."""
NO_NUMBERS: Final = Numbers()
_RANKS: Final = {state: rank for rank, state in enumerate(STATES)}
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One service. `oldest` is when the oldest of its replicas was created, as the last pass has seen it; `numbers` are of
    the last minute; `certificate_ends` is when the first certificate for its routes ends.
    """

    name: str
    plugin: str
    state: str
    reason: str
    message: str
    serving: int
    desired: int
    updated: int
    revision: str
    commit: str
    oldest: datetime | None
    routes: tuple[str, ...]
    numbers: Numbers = NO_NUMBERS
    certificate_ends: datetime | None = None

    @property
    def word(self) -> str:
        """Its state in a word."""
        return STATES[self.state]

    @property
    def texts(self) -> Texts:
        """Its numbers, to be read."""
        return texts_of(self.numbers)

    @property
    def lacks(self) -> bool:
        """Whether fewer replicas serve than are wanted."""
        return self.serving < self.desired


@dataclass(frozen=True, slots=True)
class Selection:
    """Which services are shown, and in which order."""

    text: str = ""
    state: str = ""
    order: str = "state"
    down: bool = False

    @property
    def rises(self) -> bool:
        """Whether values rise from row to row: of numbers the highest is first."""
        return self.down == (self.order in NUMBERS)

    def shows(self, row: Row) -> bool:
        """Whether a service is shown."""
        words = f"{row.name} {row.plugin} {' '.join(row.routes)}".lower()
        return (not self.state or row.state == self.state) and self.text.lower() in words

    def sorted(self, rows: Sequence[Row]) -> list[Row]:
        """Services in the order."""
        keys: dict[str, Callable[[Row], tuple[Any, ...]]] = {
            "state": lambda row: (_RANKS[row.state], not row.lacks, row.name),
            "name": lambda row: (row.name,),
            "replicas": lambda row: (row.serving, row.desired, row.name),
            "age": lambda row: (*_by_time(row.oldest), row.name),
            "certificate": lambda row: (*_by_time(row.certificate_ends), row.name),
            **{name: partial(_by_number, of) for name, of in NUMBERS.items()},
        }
        return sorted(rows, key=keys[self.order], reverse=self.down)

    def address(self, **changes: str) -> str:
        """The query of an address that shows this with another filter or order."""
        now = {"q": self.text, "state": self.state, "sort": self.order, "down": "1" if self.down else ""}
        kept = {
            key: value
            for key, value in {**now, **changes}.items()
            if value and (key, value) != ("sort", "state")
        }
        return f"?{urlencode(kept)}" if kept else "?"

    def turned(self, order: str) -> str:
        """The address of another order, or of the other direction of this one."""
        turns = order == self.order and not self.down
        return self.address(sort=order, down="1" if turns else "")


def selection_of(query: Mapping[str, str]) -> Selection:
    """The selection of an address; what it does not know is left out."""
    state, order = query.get("state", ""), query.get("sort", "state")
    return Selection(
        query.get("q", "")[:LONGEST],
        state if state in STATES else "",
        order if order in COLUMNS else "state",
        query.get("down", "") == "1",
    )


def overview(asked: Asked) -> Response:
    """The page."""
    site, selection = asked.site, selection_of(asked.request.query_params)
    number = site.pulse.number
    rows = rows_of(site)
    shown = selection.sorted([row for row in rows if selection.shows(row)])
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    return asked.page(
        "overview.html",
        rows=shown,
        total=len(rows),
        counts=counts,
        states=STATES,
        selection=selection,
        columns=COLUMNS.items(),
        days=_days(site),
        live=f"/live/services{selection.address(since=str(number))}",
    )


def changes(asked: Asked) -> Render:
    """Renders the rows that have changed; one that is not shown any more is removed."""
    site, selection = asked.site, selection_of(asked.request.query_params)

    def parts(names: tuple[str, ...] | None) -> list[dict[str, Any]]:
        rows = {row.name: row for row in rows_of(site, names)}
        found: list[dict[str, Any]] = []
        for name in rows if names is None else names:
            row = rows.get(name)
            is_shown = row is not None and selection.shows(row)
            html = render("_row.html", row=row, now=site.now(), days=_days(site)) if is_shown else None
            found.append({"id": f"service-{name}", "html": html, "into": "rows"})
        return found

    return parts


def rows_of(site: Site, names: Sequence[str] | None = None) -> list[Row]:
    """The rows of all services, or of those of these that there are."""
    application = site.application
    snapshots = {each.name: each for each in application.board.snapshots()}
    ends = ends_of(application.gateway_board.snapshots())
    found: list[Row] = []
    for name in application.object_views.names() if names is None else names:
        row = _row(site, name, snapshots.get(name), ends.get(name))
        if row is not None:
            found.append(row)
    return found


def _row(
    site: Site, name: str, snapshot: ServiceSnapshot | None, certificate_ends: datetime | None
) -> Row | None:
    views = site.application.object_views
    try:
        stored = readable(views, name)
        status = views.status(name)
    except VaultError as error:
        return _unreadable(name, str(error))
    if stored is None:
        return None
    summary = summarize(stored, status)
    counts = status.replicas
    return Row(
        name=name,
        plugin=stored.resource.spec.plugin,
        state=summary.verdict,
        reason=summary.reason,
        message=summary.message,
        serving=counts.serving,
        desired=counts.desired,
        updated=counts.updated,
        revision=status.revision or "",
        commit=stored.origin.commit.rpartition(":")[2][:12],
        oldest=snapshot.oldest_replica_created if snapshot else None,
        routes=claimed(stored.resource),
        numbers=site.meter.numbers(name),
        certificate_ends=certificate_ends,
    )


def _days(site: Site) -> Callable[[Row], tuple[int | None, bool]]:
    """Gives the days that the certificates of a row are valid, and whether they are few."""
    now = site.now()

    def days(row: Row) -> tuple[int | None, bool]:
        left = days_until(row.certificate_ends, now)
        return left, left is not None and left < FEW_DAYS

    return days


def _by_time(when: datetime | None) -> tuple[bool, float]:
    return when is None, when.timestamp() if when else 0.0


def _by_number(of: Callable[[Numbers], float | None], row: Row) -> tuple[bool, float, str]:
    value = of(row.numbers)
    return value is None, -(value or 0.0), row.name


def _unreadable(name: str, problem: str) -> Row:
    return Row(name, "", Verdict.FAILED, Reason.OBJECT_UNREADABLE, problem, 0, 0, 0, "", "", None, ())
