"""The ASGI application of an agent: the proxy protocol (proxy/remote), to the controller and to no other client.

TLS has verified that the authority of the agents signed the client's certificate; here its role, its time and its term of
the lease are looked at, for each request.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.certificates.agents import check_controller
from reconciler.certificates.errors import PeerError
from reconciler.engines.tunnel import TunnelRefusedError
from reconciler.proxy.remote.messages import VERSIONS
from reconciler.proxy.remote.serving import AgentService
from reconciler.proxy.remote.wire import MAX_BODY
from reconciler.web.agent.identity import AUTHORITY_FILE, IDENTITY_FILE, AgentIdentity
from reconciler.web.agent.terms import Terms
from reconciler.web.agent.tls import RenewedTls, renewed
from reconciler.web.deadline import DeadlineMiddleware
from reconciler.web.server import CLIENT_CERTIFICATE

__all__ = ["admits", "agent_app", "agent_tls", "tunnel_tls"]

ANSWER_SECONDS: Final = 45.0
"""More than the longest call, which is a reload or a change of all certificates."""
AT_ONCE: Final = 32
"""Calls that are carried out side by side; the others wait."""

_log = logging.getLogger(__name__)


def agent_tls(identity: AgentIdentity) -> RenewedTls:
    """TLS with the certificate of an agent, for clients of its authority."""
    own = identity.directory / IDENTITY_FILE
    return RenewedTls(own, own, (identity.directory / AUTHORITY_FILE,))


def tunnel_tls(identity: AgentIdentity) -> ssl.SSLContext:
    """The same for connections that are not HTTP."""
    own = identity.directory / IDENTITY_FILE

    def make() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.num_tickets = 0
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(identity.directory / AUTHORITY_FILE)
        made.load_cert_chain(own)
        return made

    return renewed(make, own)


def admits(clock: Callable[[], datetime], terms: Terms) -> Callable[[bytes], int]:
    """Refuses a client whose certificate (DER) is not that of the controller at this moment: raises TunnelRefusedError.
    Gives the term of one that is admitted.
    """

    def admit(shown: bytes) -> int:
        try:
            term = check_controller(shown, clock())
            terms.admit(term)
        except PeerError as error:
            raise TunnelRefusedError(error.message) from error
        return term

    return admit


def agent_app(service: AgentService, clock: Callable[[], datetime], terms: Terms) -> Starlette:
    """The application; `clock` is the wall's, and `terms` say which controller is obeyed."""
    limiter = CapacityLimiter(AT_ONCE)

    async def hello(request: Request) -> Response:
        return _json(await to_thread.run_sync(service.hello))

    async def call(request: Request) -> Response:
        body = await request.body()
        answer = await to_thread.run_sync(service.answer, body, abandon_on_cancel=True, limiter=limiter)
        return _json(answer)

    return Starlette(
        routes=[
            Route("/hello", hello),
            *(Route(f"/v{version}", call, methods=["POST"]) for version in VERSIONS),
        ],
        middleware=[
            Middleware(_ControllerOnly, clock=clock, terms=terms),
            Middleware(DeadlineMiddleware, seconds=ANSWER_SECONDS),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
        max_body_size=MAX_BODY,
    )


class _ControllerOnly:
    """Refuses everything from a client whose certificate is not that of the controller that acts at this moment."""

    def __init__(self, app: ASGIApp, clock: Callable[[], datetime], terms: Terms) -> None:
        self._app = app
        self._clock = clock
        self._terms = terms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            shown = scope.get("state", {}).get(CLIENT_CERTIFICATE, b"")
            self._terms.admit(check_controller(shown, self._clock()))
        except PeerError as error:
            _log.warning("a request of %s was refused: %s", (scope.get("client") or ("?",))[0], error)
            answer = JSONResponse({"error": error.message}, HTTPStatus.FORBIDDEN)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _fail(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "a defect of the agent; its log has the details"}, 500)
