"""The page of one service: its replicas as they live, the budget, the plan with causes, conditions, events, history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.api.yaml_writing import document
from reconciler.app.documents import claimed, url
from reconciler.app.finding import NotFoundError, legible
from reconciler.app.revisions import changed_fields, flat, redacted
from reconciler.controller.report.verdict import summarize
from reconciler.web.ui.actions import ACTIONS
from reconciler.web.ui.chart import HEIGHT, WIDTH
from reconciler.web.ui.ends import FEW_DAYS, days_until
from reconciler.web.ui.machine import SERVING, routes_of
from reconciler.web.ui.overview import STATES
from reconciler.web.ui.rendering import render
from reconciler.web.ui.scene import Scene, scene_of
from reconciler.web.ui.site import Asked, Site, is_allowed
from reconciler.web.ui.timeline import timeline
from reconciler.web.ui.traffic import traffic_of
from vault_plugins.contract import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.store.base import RevisionRecord, StoredObject
    from reconciler.web.ui.live import Render

__all__ = ["changes", "difference", "service", "spec_of", "stored_object", "stored_service"]

EVENTS: Final = 40
HISTORY: Final = 30
PARTS: Final = ("now", "routes", "traffic", "told", "history")


@dataclass(frozen=True, slots=True)
class Revision:
    """A line of the history."""

    record: RevisionRecord
    changed: tuple[str, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """A field in which two revisions differ; None where one does not have it."""

    name: str
    before: str | None
    after: str | None


def stored_service(site: Site, name: str) -> StoredObject[Any]:
    """The service of that name. Raises NotFoundError."""
    return stored_object(site, VAULT_SERVICE, name)


def stored_object(site: Site, kind: Kind, name: str) -> StoredObject[Any]:
    """The object of that name. Raises NotFoundError; a name that is a path or names a kind is none."""
    if name not in site.application.objects.of(kind).names():
        raise NotFoundError(f"there is no {kind.singular.removeprefix('vault')} {name[:80]!r}")
    (stored,) = legible(site.application.objects, [str(Ref(kind, name))])
    return stored


def service(asked: Asked) -> Response:
    """The page."""
    site, number = asked.site, asked.site.pulse.number
    stored = stored_service(site, asked.name)
    return asked.page(
        "service.html",
        name=stored.name,
        live=f"/live/service/{stored.name}?since={number}",
        **_values(asked, stored),
    )


def changes(asked: Asked) -> Render:
    """Renders the parts of the page that differ from what was sent before."""
    site, name, sent = asked.site, asked.name, dict[str, str]()

    def parts(names: tuple[str, ...] | None) -> list[dict[str, Any]]:
        if names is not None and name not in names:
            return []
        try:
            values = _values(asked, stored_service(site, name))
        except NotFoundError:
            return [{"id": part, "html": None, "into": ""} for part in PARTS[1:]] + [
                {"id": PARTS[0], "html": render("_service_gone.html", name=name[:80]), "into": ""}
            ]
        found = []
        for part in PARTS:
            html = render(f"_service_{part}.html", name=name, now=site.now(), **values)
            if sent.get(part) != html:
                sent[part] = html
                found.append({"id": part, "html": html, "into": ""})
        return found

    return parts


def difference(asked: Asked) -> Response:
    """How two revisions differ, without the values of settings."""
    stored = stored_service(asked.site, asked.name)
    records = {each.number: each for each in asked.site.application.history.revisions(stored.name)}
    query = asked.request.query_params
    before, after = (records.get(_number(query.get(key, ""))) for key in ("from", "to"))
    if before is None or after is None:
        raise NotFoundError(f"{stored.name} has no such revisions")
    return asked.page(
        "difference.html",
        name=stored.name,
        before=before,
        after=after,
        fields=fields_between(before, after),
        numbers=sorted(records, reverse=True),
    )


def fields_between(before: RevisionRecord, after: RevisionRecord) -> tuple[Field, ...]:
    """The fields in which two revisions differ, with their values where these can be no secret."""
    old, new = (_shown(each) for each in (before, after))
    return tuple(Field(name, old.get(name), new.get(name)) for name in changed_fields(before, after))


def _shown(record: RevisionRecord) -> Mapping[str, str]:
    values = flat(redacted(json.loads(record.spec)))
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _values(asked: Asked, stored: StoredObject[Any]) -> dict[str, Any]:
    site, application = asked.site, asked.site.application
    may_edit = is_allowed(asked, "patch")
    status = application.objects.status(stored.name)
    summary = summarize(stored, status)
    scene, unseen = _scene(site, stored)
    records = application.history.revisions(stored.name)
    history = _history(records)
    return {
        "home": f"/service/{stored.name}",
        "stored": stored,
        "status": status,
        "summary": summary,
        "word": STATES[summary.verdict],
        "scene": scene,
        "unseen": unseen,
        "traffic": traffic_of(site.meter.numbers(stored.name), records, site.now()),
        "oldest": min((each.created for each in scene.replicas), default=None) if scene else None,
        "width": WIDTH,
        "height": HEIGHT,
        "events": timeline(
            application.history.events(stored.name, EVENTS)[::-1],
            ((each.record, each.changed) for each in history),
            EVENTS,
        ),
        "history": history,
        "born": records[0].created_at if records else None,
        "url": url(stored.resource),
        "routes": claimed(stored.resource),
        **_ways_in(site, stored),
        "spec": spec_of(stored),
        "may_act": may_edit,
        "may_exec": is_allowed(asked, "create", "exec"),
        "actions": [
            (key, each.title)
            for key, each in ACTIONS[VAULT_SERVICE].items()
            if may_edit and each.fits(stored)
        ],
    }


def _ways_in(site: Site, stored: StoredObject[Any]) -> dict[str, Any]:
    """The routes of a service behind a gateway, with their certificates; they are settled with those of all services."""
    warnings = list[str]()
    lines = routes_of(site, warnings, [stored.name])[0] if stored.resource.spec.is_routed else []
    return {
        "ways_in": lines,
        "unsettled": [site.application.secrets.hide(each) for each in warnings],
        "days": lambda when: days_until(when, site.now()),
        "few": FEW_DAYS,
        "serving": SERVING,
    }


def _scene(site: Site, stored: StoredObject[Any]) -> tuple[Scene | None, str]:
    """The last scene, or one of now if no pass has seen the service; else why there is none."""
    if (scene := site.stage.get(stored.name)) is not None:
        return scene, ""
    application = site.application
    try:
        stack = application.build(stored.resource, stored.origin.manifest.parent)
        preview = application.preview(stack)
    except (VaultError, PluginError) as error:
        return None, application.secrets.hide(str(error), stored.ref.label)
    return scene_of(preview, lambda text: application.secrets.hide(text, stored.ref.label)), ""


def _history(records: Sequence[RevisionRecord]) -> list[Revision]:
    found, before = list[Revision](), None
    for record in records:
        found.append(
            Revision(record, tuple(changed_fields(before, record)), before.number if before else None)
        )
        before = record
    return found[::-1][:HISTORY]


def spec_of(stored: StoredObject[Any]) -> str:
    """The spec as YAML, without the values of settings."""
    spec = stored.resource.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    shown = redacted(spec)
    # It adds an empty one.
    shown = shown if spec.get("env") else {key: value for key, value in shown.items() if key != "env"}
    return document(shown, readable=True).rstrip()
