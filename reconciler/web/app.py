"""The ASGI application of the controller: /metrics, /healthz, /readyz, and routes that other packages add.

It receives callables and does not depend on the controller, so it can be tested without one and cannot change
anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeVar

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from reconciler.web.access import Access, AccessMiddleware
from reconciler.web.deadline import DeadlineMiddleware
from reconciler.web.health import Check, Health, Probe

# GitHub sends webhooks of up to 25 MB, but those about pushes are far below this.
MAX_BODY_BYTES: Final = 1024 * 1024
ANSWER_SECONDS: Final = 5.0

# Responses are valid at this moment only, and are never HTML.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


def create_app(
    metrics: Callable[[str], tuple[bytes, str]],
    health: Health,
    routes: Sequence[BaseRoute] = (),
    *,
    access: Access | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    answer_seconds: float = ANSWER_SECONDS,
) -> Starlette:
    """The application.

    `metrics` gets the value of an Accept header and returns a body and its content type. `routes` are served in
    addition; a larger body gets 413, and a response that has not started after `answer_seconds` becomes 503. With
    `access`, everything except OPEN_PATHS requires a credential.
    """

    async def serve_metrics(request: Request) -> Response:
        # A client may send several Accept headers.
        accept = ",".join(request.headers.getlist("accept"))
        try:
            body, content_type = await _in_thread(lambda: metrics(accept))
        except Exception:
            _log.exception("cannot collect the metrics")
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "cannot collect the metrics; the log says why")
        return Response(body, headers={**_HEADERS, "Content-Type": content_type})

    return Starlette(
        routes=[
            Route("/metrics", serve_metrics),
            Route("/healthz", _health_endpoint(health.live)),
            Route("/readyz", _health_endpoint(health.ready)),
            *routes,
        ],
        middleware=[
            *([Middleware(AccessMiddleware, access=access)] if access else []),
            Middleware(DeadlineMiddleware, seconds=answer_seconds),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
        max_body_size=max_body_bytes,
    )


def _health_endpoint(probe: Probe) -> Callable[[Request], object]:
    async def serve_health(request: Request) -> Response:
        checks = await _in_thread(lambda: _look(probe))
        failed = [check for check in checks if not check.ok]
        return JSONResponse(
            {
                "status": "failed" if failed else "ok",
                "reason": "; ".join(f"{check.name}: {check.detail}" for check in failed),
                "checks": [{"name": each.name, "ok": each.ok, "detail": each.detail} for each in checks],
            },
            status_code=HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK,
            headers=_HEADERS,
        )

    return serve_health


def _look(probe: Probe) -> tuple[Check, ...]:
    try:
        return tuple(probe())
    except Exception:
        # The exception may contain anything, so it goes to the log and not to the client.
        _log.exception("a health check failed to run")
        return (Check("health", ok=False, detail="the check itself failed; the log says why"),)


async def _in_thread(ask: Callable[[], _Answer]) -> _Answer:
    # Abandoned after the deadline: a thread cannot be stopped, but the client need not wait for it.
    return await to_thread.run_sync(ask, abandon_on_cancel=True)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, headers=error.headers)


async def _fail(request: Request, error: Exception) -> Response:
    return _error(
        HTTPStatus.INTERNAL_SERVER_ERROR, "this is a defect of the controller; the log has the details"
    )


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers={**_HEADERS, **(headers or {})})
