"""Acts on an object in two steps: a preview of the change, then, with the token of that preview, the change itself.

The token says what was shown. If the change has come to another thing since, because another person was quicker, nothing is
done and the new preview is shown.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from reconciler.api.errors import VaultError
from reconciler.app.finding import NotFoundError
from reconciler.web.ui.actions import ACTIONS, LOSSES, Action, Given
from reconciler.web.ui.forge import commit_address
from reconciler.web.ui.scene import scene_of
from reconciler.web.ui.service import stored_object
from reconciler.web.ui.site import Asked, audited

if TYPE_CHECKING:
    from reconciler.app.acting import Proposal
    from reconciler.app.editing import Edited
    from reconciler.store.base import StoredObject

__all__ = ["act", "action_form", "delete", "delete_form"]

CONFIRM_SECONDS: Final = 900.0
CHANGED: Final = "Something has changed since this preview was made. This is what it comes to now:"
TOO_OLD: Final = "The confirmation was too old. This is what it comes to now:"

# Between the last look and the write, for those who confirm at the same time.
_one_at_a_time = threading.Lock()


def action_form(asked: Asked) -> Response:
    """What an action asks for; those that ask for nothing have a preview at once."""
    action, stored = _action(asked), stored_object(asked.site, asked.kind, asked.name)
    if not action.inputs:
        return _preview(asked, action, stored, {}, asked.site.now())
    query = asked.request.query_params
    values = {each.name: query.get(each.name) or each.of(stored) for each in action.inputs}
    return asked.page("action.html", **_frame(asked, action), values=values, problem="")


def act(asked: Asked) -> Response:
    """Show the preview of what a form asks for, or do what was confirmed."""
    action = _action(asked)
    values = {each.name: asked.form.get(each.name, "") for each in action.inputs}
    stored = stored_object(asked.site, asked.kind, asked.name)
    if "confirm" not in asked.form:
        return _preview(asked, action, stored, values, asked.site.now())
    with _one_at_a_time:
        stored = stored_object(asked.site, asked.kind, asked.name)
        shown = asked.site.visitors.signing.read("confirm", asked.form["confirm"], CONFIRM_SECONDS)
        if not isinstance(shown, dict) or shown.get("of") != _identity(asked, values):
            return _preview(asked, action, stored, values, asked.site.now(), TOO_OLD)
        at = datetime.fromisoformat(shown["at"])
        change = action.make(_given(asked, stored, values, at))
        proposal = asked.site.editor.propose(stored, change)
        if _digest(proposal) != shown["comes to"]:
            return _preview(asked, action, stored, values, at, CHANGED)
        what = {"verb": asked.request.path_params["action"], "fields": sorted(change.fields)}
        done = _audited(
            asked, stored, what, lambda: asked.site.editor.carry_out(stored, change, _person(asked))
        )
    if done is not None and done.pushed:
        # The controller need not wait for its next fetch.
        for each in asked.site.followed:
            each.source.poke()
    link = commit_address(stored.origin.place, done.commit or "") if done is not None and done.pushed else ""
    return asked.page("done.html", **_frame(asked, action), done=done, link=link)


def delete_form(asked: Asked) -> Response:
    """The confirmation of a deletion."""
    stored = stored_object(asked.site, asked.kind, asked.name)
    asked.site.editor.require_deletable(stored)
    return asked.page("delete.html", **_about(asked), problem="")


def delete(asked: Asked) -> Response:
    """Request the deletion, if the name was typed."""
    stored = stored_object(asked.site, asked.kind, asked.name)
    if asked.form.get("typed", "").strip() != stored.name:
        problem = (
            f"That is not the name of the {asked.kind.singular.removeprefix('vault')}. Nothing was deleted."
        )
        return asked.page("delete.html", HTTPStatus.CONFLICT, **_about(asked), problem=problem)
    _audited(asked, stored, {"verb": "delete"}, lambda: asked.site.editor.delete(stored))
    return asked.go(asked.home)


def _action(asked: Asked) -> Action:
    found = ACTIONS[asked.kind].get(asked.request.path_params["action"])
    if found is None:
        raise NotFoundError("there is no such action")
    return found


def _given(asked: Asked, stored: StoredObject[Any], values: Mapping[str, str], at: datetime) -> Given:
    return Given(stored, values, at, asked.site.application.history.of(asked.kind).revisions(stored.name))


def _preview(
    asked: Asked,
    action: Action,
    stored: StoredObject[Any],
    values: Mapping[str, str],
    at: datetime,
    note: str = "",
) -> Response:
    secrets = asked.site.application.secrets
    try:
        proposal = asked.site.editor.propose(stored, action.make(_given(asked, stored, values, at)))
    except VaultError as error:
        if not action.inputs:
            raise
        problem = secrets.hide(str(error), stored.ref.label)
        frame = _frame(asked, action)
        return asked.page("action.html", HTTPStatus.CONFLICT, **frame, values=values, problem=problem)
    shown = {"of": _identity(asked, values), "comes to": _digest(proposal), "at": at.isoformat()}

    def hide(text: str) -> str:
        return secrets.hide(text, stored.ref.label)

    return asked.page(
        "preview.html",
        HTTPStatus.CONFLICT if note else HTTPStatus.OK,
        **_frame(asked, action),
        values=values,
        note=note,
        lines=[(_class_of(line), line) for line in hide(proposal.difference).splitlines()],
        scene=scene_of(proposal.preview, hide) if proposal.preview else None,
        unseen=hide(proposal.unseen),
        confirm=asked.site.visitors.signing.sign("confirm", shown),
        origin=stored.origin,
    )


def _frame(asked: Asked, action: Action) -> dict[str, Any]:
    return {**_about(asked), "action": action, "title": action.title}


def _about(asked: Asked) -> dict[str, Any]:
    losses = LOSSES[asked.kind]
    return {"name": asked.name, "home": asked.home, "losses": losses}


def _identity(asked: Asked, values: Mapping[str, str]) -> list[Any]:
    """Who confirms what: a token of another session, service or value confirms nothing."""
    pairs = [[key, value] for key, value in sorted(values.items())]
    return [asked.visitor.session.id, asked.home, asked.request.path_params["action"], pairs]


def _digest(proposal: Proposal) -> str:
    return hashlib.sha256(proposal.difference.encode()).hexdigest()


def _class_of(line: str) -> str:
    if line.startswith(("+++", "---", "@@")):
        return "faint"
    return {"+": "added", "-": "removed"}.get(line[:1], "")


def _person(asked: Asked) -> str:
    return asked.visitor.client.user


def _audited(asked: Asked, stored: StoredObject[Any], what: Mapping[str, Any], run: Any) -> Edited | None:
    """Do it, and keep in the audit log who asked for what and what came of it: nothing is done that is not in the log."""
    about = {**what, "resource": stored.ref.kind.plural, "name": stored.name}
    who = asked.visitor.client.record
    audited(asked.site, asked.request, who, about, stage="asked")
    code, reason, commit = 500, "InternalError", ""
    try:
        done: Edited | None = run()
        code, reason, commit = 200, "", done.commit if done else ""
        return done
    except VaultError as error:
        code, reason = 409, str(error.reason)
        raise
    finally:
        result = {"code": code, "reason": reason, "commit": commit}
        audited(asked.site, asked.request, who, {**about, **result}, stage="done")
