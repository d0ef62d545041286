"""Login and logout. A wrong name and a wrong password have one answer, which takes the same time."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler.store.passwords import MAX_LENGTH, Busy
from reconciler.web.ui.delay import network_of
from reconciler.web.ui.forms import FormError, local_path, read_form
from reconciler.web.ui.rendering import render
from reconciler.web.ui.site import Asked, Site, audited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.store.users import User

__all__ = ["log_in", "log_out", "log_out_everywhere", "login_form"]

WRONG: Final = "This name and this password do not belong together."
OLD_FORM: Final = "This form was too old, or your browser keeps no cookies. Try again."
BUSY: Final = "Too many people log in at once. Try again in a moment."
NO_FORM: Final = "The browser did not send the form of this page. Try again."

_log = logging.getLogger(__name__)


async def login_form(site: Site, request: Request) -> Response:
    """The form; a user who is logged in goes on."""
    goal = local_path(request.query_params.get("next", "/"))
    if await to_thread.run_sync(lambda: site.visitors.who(request)):
        return RedirectResponse(goal, HTTPStatus.SEE_OTHER)
    return _form(site, request, goal)


async def log_in(site: Site, request: Request) -> Response:
    """Check the password, and begin a session."""
    try:
        form = await read_form(request)
    except FormError:
        return _form(site, request, "/", NO_FORM, HTTPStatus.BAD_REQUEST)
    return await to_thread.run_sync(lambda: _log_in(site, request, form))


def _log_in(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    goal = local_path(form.get("next", "/"))
    if not site.visitors.may_log_in(request, form.get("token", "")):
        return _form(site, request, goal, OLD_FORM, HTTPStatus.FORBIDDEN)
    name, password = form.get("name", "").strip(), form.get("password", "")
    known = site.visitors.users.get(name)
    key = _key(site, request, name, known)
    if (wait := site.delays.begin(key)) > 0:
        seconds = int(wait) + 1
        _audit(site, request, known, HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests")
        text = f"After several wrong passwords, wait {seconds} s before the next try."
        answer = _form(site, request, goal, text, HTTPStatus.TOO_MANY_REQUESTS)
        answer.headers["Retry-After"] = str(seconds)
        return answer
    try:
        user = None if len(password) > MAX_LENGTH else site.visitors.users.verify(name, password)
    except Busy:
        site.delays.succeeded(key)
        return _form(site, request, goal, BUSY, HTTPStatus.SERVICE_UNAVAILABLE)
    if user is None:
        _audit(site, request, known, HTTPStatus.UNAUTHORIZED, "Unauthorized")
        return _form(site, request, goal, WRONG, HTTPStatus.UNAUTHORIZED)
    site.delays.succeeded(key)
    # First the audit log: no login is done that is not in it.
    _audit(site, request, user, HTTPStatus.OK, "")
    response = RedirectResponse(goal, HTTPStatus.SEE_OTHER)
    site.visitors.log_in(response, user, _address(request))
    site.visitors.remember(response, user.name)
    return response


def log_out(asked: Asked) -> Response:
    """End the session of this browser."""
    return _log_out(asked, everywhere=False)


def log_out_everywhere(asked: Asked) -> Response:
    """End all sessions of the user."""
    return _log_out(asked, everywhere=True)


def _log_out(asked: Asked, *, everywhere: bool) -> Response:
    verb = "logout-everywhere" if everywhere else "logout"
    audited(asked.site, asked.request, asked.visitor.client.record, {"verb": verb}, stage="done")
    response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    asked.site.visitors.log_out(response, asked.visitor, everywhere=everywhere)
    return response


def _key(site: Site, request: Request, name: str, known: User | None) -> tuple[str, ...]:
    if known is None:
        return ("", name[:MAX_LENGTH], network_of(_address(request)))
    device = site.visitors.device(request, known.name)
    place = f"device {device}" if device else network_of(_address(request))
    # With another password, what was wrong before does not count.
    return (known.epoch, known.name, place)


def _audit(site: Site, request: Request, user: User | None, code: int, reason: str) -> None:
    # Of an unknown name nothing is kept: people type their password into the wrong field.
    who = {"user": user.name if user else "", "way": "password", "role": user.role if user else ""}
    what = {"verb": "login", "code": int(code), "reason": reason}
    audited(site, request, who, what, stage="refused" if reason else "done")


def _form(
    site: Site, request: Request, goal: str, problem: str = "", status: int = HTTPStatus.OK
) -> Response:
    token, cookie = site.visitors.login_token(request)
    has_users = bool(site.visitors.users.list())
    text = render(
        "login.html",
        token=token,
        goal=goal,
        problem=problem,
        has_users=has_users,
        host=site.host,
        path="/login",
        issuer=site.issuer.name if site.issuer else "",
        way=f"/login/issuer?{urlencode({'next': goal})}",
    )
    response = HTMLResponse(text, status)
    site.visitors.keep_before(response, cookie)
    return response


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
