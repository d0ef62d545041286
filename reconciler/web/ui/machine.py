"""The pages about the host: routes and certificates of its gateways, and what doctor says of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.reasons import Reason
from reconciler.app.certificates import Certificate, certificates
from reconciler.app.checkup.examining import examine
from reconciler.app.checkup.finding import Level
from reconciler.app.routes import RouteLine, routes
from reconciler.controller.reconcile.routing import settle_objects
from reconciler.controller.report.verdict import summarize
from reconciler.store.base import readable
from reconciler.web.ui.ends import FEW_DAYS, days_until
from reconciler.web.ui.overview import STATES, rows_of
from reconciler.web.ui.site import Asked, Site

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.wiring import GitFollow

__all__ = ["Branch", "Gateway", "host_page", "route_page", "routes_of"]

SERVING: Final = "Serving"
_RANKS: Final = {Level.FAIL: 0, Level.WARN: 1, Level.OK: 2}


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway, as its last pass has left it."""

    name: str
    state: str
    word: str
    message: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that is followed. `commit` is the one that is used, `signer` is empty where signatures are not checked, and
    `is_refused` says that the newest commit is not used.
    """

    place: str
    commit: str
    signer: str
    last_fetch: datetime | None
    is_refused: bool


def route_page(asked: Asked) -> Response:
    """Each route that a service claims, the certificates of all hosts, and the gateways."""
    warnings = list[str]()
    lines, found = routes_of(asked.site, warnings)
    problems_first = sorted(lines, key=lambda line: line.state == SERVING)
    return asked.page(
        "routes.html",
        routes=problems_first,
        certificates=found,
        gateways=_gateways(asked.site),
        warnings=[asked.site.application.secrets.hide(each) for each in warnings],
        days=lambda when: days_until(when, asked.site.now()),
        few=FEW_DAYS,
        serving=SERVING,
    )


def host_page(asked: Asked) -> Response:
    """What doctor finds, problems first; queues, sources in Git, what admission refuses; users and tokens."""
    site, application = asked.site, asked.site.application
    findings = sorted(
        examine(application, application.options.state_dir, site.now()), key=lambda each: _RANKS[each.level]
    )
    is_admin = asked.visitor.client.role == "admin"
    return asked.page(
        "host.html",
        findings=[(each, application.secrets.hide(each.message)) for each in findings],
        queues=site.queues(),
        sources=[_branch(each) for each in site.followed],
        refused=[row for row in rows_of(site) if row.reason == Reason.ADMISSION],
        events=application.history.events("", 20)[::-1],
        users=[(each, len(site.visitors.sessions.of(each.name))) for each in site.visitors.users.list()]
        if is_admin
        else None,
        tokens=[(each, each.is_valid(site.now())) for each in site.tokens.list()] if is_admin else None,
        sessions=site.visitors.sessions.of(asked.visitor.client.user),
        present=asked.visitor.session.id,
    )


def routes_of(
    site: Site, warnings: list[str], services: Collection[str] = ()
) -> tuple[list[RouteLine], list[Certificate]]:
    """The routes of these services, or of all, and the certificates of all gateways; `warnings` get what cannot be read."""
    objects: Any = site.application.objects
    try:
        routing = settle_objects(objects, site.application.permits)
        found = certificates(objects, routing, site.now(), warnings.append)
        return routes(objects, routing, found, services), found
    except VaultError as error:
        warnings.append(str(error))
        return [], []


def _branch(followed: GitFollow) -> Branch:
    seen, source = followed.journal.snapshot(), followed.source
    commit = source.held.commit if source.held else ""
    return Branch(source.place, commit, source.signer, seen.last_fetch, bool(seen.refused))


def _gateways(site: Site) -> list[Gateway]:
    gateways = site.application.objects.of(VAULT_GATEWAY)
    found = []
    for name in gateways.names():
        stored = readable(gateways, name)
        if stored is not None:
            summary = summarize(stored, gateways.status(name))
            found.append(Gateway(name, summary.verdict, STATES[summary.verdict], summary.message))
    return found
