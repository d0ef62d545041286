"""The ASGI application of the page: its addresses, who may see each, and the answers when something is wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.app.finding import NotFoundError
from reconciler.web.deadline import DeadlineMiddleware
from reconciler.web.ui import acting, gateway, live, login, logs, machine, overview, service, terminal
from reconciler.web.ui.forms import MAX_FORM, FormError, local_path, read_form
from reconciler.web.ui.headers import HeadersMiddleware
from reconciler.web.ui.rendering import STATIC, render
from reconciler.web.ui.site import PLACES, Asked, Handler, Site, is_allowed

__all__ = ["create_app"]

ANSWER_SECONDS: Final = 30.0
STATIC_SECONDS: Final = 86400
LEAST_COMPRESSED: Final = 1024
COMPRESSION: Final = 6

_Endpoint = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger(__name__)


def create_app(site: Site) -> ASGIApp:
    """The application."""

    def open_to_all(handler: Callable[[Site, Request], Awaitable[Response]]) -> _Endpoint:
        async def answer(request: Request) -> Response:
            return await handler(site, request)

        return answer

    def seen(path: str, handler: Handler, verb: str = "get", part: str = "") -> Route:
        """A page; the role of the user has to include `verb`, of a `part` of a container if there is one."""
        return Route(path, _guarded(site, handler, verb, part), methods=["GET"])

    def sent(path: str, handler: Handler, verb: str) -> Route:
        """A form; the role of the user has to include `verb`."""
        return Route(path, _guarded(site, handler, verb), methods=["POST"])

    def streamed(path: str, events: Callable[[Asked], AsyncIterator[bytes]]) -> Route:
        """What comes as it happens."""
        return Route(path, _following(site, events), methods=["GET"])

    app = Starlette(
        routes=[
            Route("/login", open_to_all(login.login_form), methods=["GET"]),
            Route("/login", open_to_all(login.log_in), methods=["POST"]),
            *(Route(path, open_to_all(handler), methods=["GET"]) for path, handler in _of_issuer(site)),
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/healthz", _healthy, methods=["GET"]),
            sent("/logout", login.log_out, "get"),
            sent("/logout-everywhere", login.log_out_everywhere, "get"),
            seen("/", overview.overview),
            seen("/routes", machine.route_page),
            seen("/host", machine.host_page),
            seen("/service/{name}", service.service),
            seen("/service/{name}/difference", service.difference),
            seen("/gateway/{name}", gateway.gateway),
            *(
                route
                for place in PLACES
                for route in (
                    seen(f"/{place}/{{name}}/do/{{action}}", acting.action_form, "patch"),
                    sent(f"/{place}/{{name}}/do/{{action}}", acting.act, "patch"),
                    seen(f"/{place}/{{name}}/delete", acting.delete_form, "delete"),
                    sent(f"/{place}/{{name}}/delete", acting.delete, "delete"),
                )
            ),
            Route("/service/{name}/logs", _known(site, logs.log_page), methods=["GET"]),
            seen("/service/{name}/terminal", terminal.terminal, "create", "exec"),
            WebSocketRoute("/live/terminal/{name}", partial(terminal.talk, site)),
            streamed("/live/services", _of(overview.changes)),
            streamed("/live/service/{name}", _of(service.changes)),
            streamed("/live/logs/{name}", logs.log_stream),
        ],
        middleware=[
            # Not what comes as it happens. Tokens in a page are of that page alone; see signing.py.
            Middleware(GZipMiddleware, minimum_size=LEAST_COMPRESSED, compresslevel=COMPRESSION),
            Middleware(DeadlineMiddleware, seconds=ANSWER_SECONDS),
        ],
        exception_handlers={HTTPException: _http_error, VaultError: _unusable, Exception: _fail},
        max_body_size=MAX_FORM,
    )
    app.router.redirect_slashes = False
    # Outside, so that the answer to a defect has them as well.
    return HeadersMiddleware(app)


def _of_issuer(site: Site) -> Sequence[tuple[str, Callable[[Site, Request], Awaitable[Response]]]]:
    if site.issuer is None:
        return ()
    from reconciler.web.ui import issuer

    return (("/login/issuer", issuer.send_off), (issuer.BACK, issuer.come_back))


def _guarded(site: Site, handler: Handler, verb: str, part: str = "") -> _Endpoint:
    """An endpoint for users who are logged in, with a role that includes `verb`, and with a token in each form."""

    async def answer(request: Request) -> Response:
        visitor = await to_thread.run_sync(lambda: site.visitors.who(request))
        if visitor is None:
            return _to_login(request)
        asked = Asked(site, request, visitor)
        if request.method == "POST":
            try:
                form = await read_form(request)
            except FormError as error:
                return _problem(asked, HTTPStatus.BAD_REQUEST, str(error))
            if not site.visitors.has_token(visitor, form.get("token", "")):
                return _problem(
                    asked, HTTPStatus.FORBIDDEN, "the form is too old, or of another site: send it again"
                )
            asked = Asked(site, request, visitor, form)
        if not is_allowed(asked, verb, part):
            role = visitor.client.role
            return _problem(asked, HTTPStatus.FORBIDDEN, f"your role is {role}, which does not include this")
        return await to_thread.run_sync(lambda: _tried(handler, asked))

    return answer


def _following(site: Site, events: Callable[[Asked], AsyncIterator[bytes]]) -> _Endpoint:
    async def answer(asked: Asked) -> Response:
        return live.answer(site.streams, asked.visitor.client.user, events(asked))

    return _known(site, answer)


def _known(site: Site, handler: Callable[[Asked], Awaitable[Response]]) -> _Endpoint:
    """An endpoint for users who are logged in, whose handler waits for other things than the disk."""

    async def answer(request: Request) -> Response:
        visitor = await to_thread.run_sync(lambda: site.visitors.who(request))
        if visitor is None:
            return _to_login(request)
        asked = Asked(site, request, visitor)
        try:
            return await handler(asked)
        except VaultError as error:
            return _answer_to(error, asked)

    return answer


def _of(render: Callable[[Asked], live.Render]) -> Callable[[Asked], AsyncIterator[bytes]]:
    """The changes of a page as events."""

    def events(asked: Asked) -> AsyncIterator[bytes]:
        site = asked.site
        may_go_on = partial(site.visitors.is_there, asked.visitor)
        return live.stream(site.pulse, site.bells, live.number_of(asked.request), render(asked), may_go_on)

    return events


def _tried(handler: Handler, asked: Asked) -> Response:
    try:
        return handler(asked)
    except VaultError as error:
        return _answer_to(error, asked)


def _answer_to(error: VaultError, asked: Asked) -> Response:
    match error:
        case NotFoundError():
            return _problem(asked, HTTPStatus.NOT_FOUND, str(error))
        case TemporaryError():
            return _problem(asked, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    return _problem(asked, HTTPStatus.CONFLICT, str(error))


def _problem(asked: Asked, status: HTTPStatus, message: str) -> Response:
    hidden = asked.site.application.secrets.hide(message)
    return asked.page("problem.html", status, title=status.phrase, message=hidden)


def _to_login(request: Request) -> Response:
    if request.headers.get("accept", "") == "text/event-stream":
        return PlainTextResponse("log in first", HTTPStatus.UNAUTHORIZED)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    goal = local_path(path) if request.method == "GET" else "/"
    query = "" if goal == "/" else f"?{urlencode({'next': goal}, quote_via=quote)}"
    return RedirectResponse(f"/login{query}", HTTPStatus.SEE_OTHER)


async def _static(request: Request) -> Response:
    found = STATIC.get(request.path_params["name"])
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content, type_ = found
    # The address of each has a part of its digest.
    headers = {"Content-Type": type_, "Cache-Control": f"private, max-age={STATIC_SECONDS}"}
    return Response(content, headers=headers)


async def _healthy(request: Request) -> Response:
    return PlainTextResponse("ok")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return HTMLResponse(
        render("plain.html", title=status.phrase, message="", host="", path=""), status, error.headers
    )


async def _unusable(request: Request, error: Exception) -> Response:
    """The state directory cannot be read or written, so that it is not known who asks."""
    assert isinstance(error, VaultError)
    text = render("plain.html", title="Not now", message=str(error), host="", path="")
    return HTMLResponse(text, HTTPStatus.SERVICE_UNAVAILABLE)


async def _fail(request: Request, error: Exception) -> Response:
    message = "This is a defect of the controller; its log has the details."
    return HTMLResponse(
        render("plain.html", title="Something went wrong", message=message, host="", path=""), 500
    )
