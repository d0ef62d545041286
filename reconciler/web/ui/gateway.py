"""The page of one gateway: its conditions and events, its spec, and what may be done about it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from reconciler.controller.report.verdict import summarize
from reconciler.web.ui.actions import ACTIONS
from reconciler.web.ui.overview import STATES
from reconciler.web.ui.service import spec_of, stored_object
from reconciler.web.ui.site import Asked, is_allowed

__all__ = ["gateway"]

EVENTS: Final = 40


def gateway(asked: Asked) -> Response:
    """The page."""
    application, kind = asked.site.application, asked.kind
    stored = stored_object(asked.site, kind, asked.name)
    status = application.objects.of(kind).status(stored.name)
    summary = summarize(stored, status)
    may_edit = is_allowed(asked, "patch")
    return asked.page(
        "gateway.html",
        name=stored.name,
        home=asked.home,
        stored=stored,
        status=status,
        summary=summary,
        word=STATES[summary.verdict],
        events=application.history.of(kind).events(stored.name, EVENTS)[::-1],
        spec=spec_of(stored),
        actions=[(key, each.title) for key, each in ACTIONS[kind].items() if may_edit and each.fits(stored)],
    )
