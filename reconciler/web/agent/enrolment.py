"""Where agents are enrolled: an agent shows its token and a signing request, and gets its first certificate.

It is the only way from an agent to the controller; afterwards only the controller connects. The agent knows the controller
by the digest of its authority's certificate, which is a part of the token, so the token is sent to no other server.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.api.errors import PermanentError
from reconciler.certificates.agents import (
    AUTHORITY,
    ENROLMENT_CERTIFICATE,
    ENROLMENT_KEY,
    ENROLMENT_NAME,
    MAX_PEM,
    ends,
    fingerprint,
    sign_agent,
)
from reconciler.proxy.remote.wire import AgentRefusedError, Peer, Wire
from reconciler.store.agents import Agents, Issued, pin_of
from reconciler.web.agent.identity import AgentIdentity
from reconciler.web.agent.tls import RenewedTls
from reconciler.web.deadline import DeadlineMiddleware

__all__ = ["enrol", "enrolment_app", "enrolment_tls"]

ANSWER_SECONDS: Final = 10.0
ENROL_SECONDS: Final = 15.0
"""For an agent to be enrolled, connections included."""
MAX_BODY: Final = 32 * 1024

_log = logging.getLogger(__name__)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    token: Annotated[str, Field(max_length=512, repr=False)]
    request: Annotated[str, Field(max_length=MAX_PEM)]


class _Enrolled(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    certificate: Annotated[str, Field(max_length=MAX_PEM)]


def enrolment_tls(directory: Path) -> RenewedTls:
    """TLS of the server that enrols agents, with a certificate of the authority in this directory."""
    return RenewedTls(directory / ENROLMENT_CERTIFICATE, directory / ENROLMENT_KEY)


def enrolment_app(directory: Path, agents: Agents, clock: Callable[[], datetime]) -> Starlette:
    """The application; the authority is in `directory`, `clock` is the wall's."""

    def issue(request: bytes, made: list[bytes], node: str) -> Issued:
        made.append(sign_agent(directory, node, request, clock()))
        return Issued(fingerprint(made[0]), ends(made[0]).isoformat())

    def redeem(asked: _Asked) -> str | None:
        made: list[bytes] = []
        agent = agents.redeem(asked.token, partial(issue, asked.request.encode(), made))
        if agent is None:
            return None
        _log.info("the agent of node %s was enrolled; its address is %s", agent.node, agent.address)
        return made[0].decode()

    async def authority(request: Request) -> Response:
        text = await to_thread.run_sync((directory / AUTHORITY).read_bytes)
        return Response(text, media_type="application/x-pem-file")

    async def enrol(request: Request) -> Response:
        try:
            asked = _Asked.model_validate_json(await request.body())
        except ValidationError:
            return JSONResponse({"error": "the request is not understood"}, HTTPStatus.BAD_REQUEST)
        try:
            certificate = await to_thread.run_sync(redeem, asked)
        except PermanentError as error:
            return JSONResponse({"error": error.message}, HTTPStatus.BAD_REQUEST)
        if certificate is None:
            client = request.client.host if request.client else "?"
            _log.warning("an agent at %s was not enrolled: its token is no valid one", client)
            return JSONResponse({"error": "the token is no valid one"}, HTTPStatus.FORBIDDEN)
        return JSONResponse({"certificate": certificate})

    return Starlette(
        routes=[Route("/authority", authority), Route("/enrol", enrol, methods=["POST"])],
        middleware=[Middleware(DeadlineMiddleware, seconds=ANSWER_SECONDS)],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
        max_body_size=MAX_BODY,
    )


def enrol(identity: AgentIdentity, host: str, port: int, token: str) -> str:
    """Enrol an agent at the controller at this address, and return its node. Raises VaultError."""
    pin = pin_of(token)
    if pin is None:
        raise PermanentError("this is no token of an agent; vaultctl agent token NODE prints one")
    until = time.monotonic() + ENROL_SECONDS
    authority = _authority(host, port, pin, until)
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.minimum_version = ssl.TLSVersion.TLSv1_3
    trusted.load_verify_locations(cadata=authority)
    wire = Wire(_controller(host, port, lambda: trusted))
    try:
        asked = _Asked(token=token, request=identity.request())
        said = wire.exchange("POST", "/enrol", asked.model_dump_json().encode(), until)
        return identity.enrol(_Enrolled.model_validate_json(said).certificate, authority)
    except ValidationError:
        raise PermanentError(f"the answer of {host}:{port} is not that of a controller") from None
    except AgentRefusedError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        raise PermanentError(
            "the controller does not accept the token: it was used, or is older than an hour; "
            "vaultctl agent token NODE prints a new one"
        ) from error
    finally:
        wire.close()


def _authority(host: str, port: int, pin: str, until: float) -> str:
    """The certificate (PEM) of the controller's authority, if it is the one that the token names."""
    unknown = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unknown.check_hostname = False
    unknown.verify_mode = ssl.CERT_NONE
    wire = Wire(_controller(host, port, lambda: unknown))
    try:
        text = wire.exchange("GET", "/authority", b"", until)[: MAX_PEM + 1]
        found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(text.decode("ascii"))).hexdigest()
    except ValueError:
        found = ""
    finally:
        wire.close()
    if found != pin:
        raise PermanentError(
            f"{host}:{port} is not the controller that printed the token: its authority is another one"
        )
    return text.decode("ascii")


def _controller(host: str, port: int, context: Callable[[], ssl.SSLContext]) -> Peer:
    return Peer("of the controller", host, port, ENROLMENT_NAME, context, lambda shown: True)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _fail(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "a defect of the controller; its log has the details"}, 500)
