"""Passes on the metrics of HAProxies on other nodes, which open no port for them: the agent of the node asks there.

Only those that the last pass has seen are asked for, each by the name of its gateway and its slot. One that does not answer
is 503, so that its target is down.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.api.errors import VaultError

__all__ = ["relayed_path", "relayed_route"]

AT_ONCE: Final = 16
"""HAProxies that are asked side by side; the others wait, and other pages do not."""
TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PATH: Final = "/proxies/{gateway}/{slot}"
_SLOT: Final = re.compile(r"[0-9]{1,4}")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_log = logging.getLogger(__name__)


def relayed_path(gateway: str, slot: int) -> str:
    """Where the metrics of one HAProxy are served."""
    return _PATH.format(gateway=gateway, slot=slot)


def relayed_route(ask: Callable[[str, int], str]) -> Route:
    """The route that serves what `ask` gives for the name of a gateway and a slot: within a time, and without more than
    belongs to one page. It may raise LookupError for one that there is not, and VaultError.
    """
    limiter = CapacityLimiter(AT_ONCE)

    async def serve(request: Request) -> Response:
        name, digits = request.path_params["gateway"], request.path_params["slot"]
        if not _SLOT.fullmatch(digits):
            return _said(HTTPStatus.NOT_FOUND, "there is no such HAProxy on another node")
        slot = int(digits)
        try:
            text = await to_thread.run_sync(ask, name, slot, abandon_on_cancel=True, limiter=limiter)
        except LookupError:
            return _said(HTTPStatus.NOT_FOUND, "there is no such HAProxy on another node")
        except VaultError as error:
            _log.debug("no metrics of slot %d of gateway %s: %s", slot, name, error)
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, error.message)
        return Response(text, headers={**_HEADERS, "Content-Type": TYPE})

    return Route(_PATH.format(gateway="{gateway}", slot="{slot}"), serve)


def _said(status: HTTPStatus, message: str) -> Response:
    return PlainTextResponse(f"{message}\n", status_code=status, headers=_HEADERS)
