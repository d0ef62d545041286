"""The login at an OIDC issuer: the authorization code flow with PKCE, from the page to the issuer and back.

A code is worth nothing to another browser: the state, the nonce and the verifier are those of the cookie with which this
one was sent off.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler.web.kube.clients.client import Client, RefusedError
from reconciler.web.kube.clients.issuer_keys import Ask, IssuerError, asking, read_addresses, read_document
from reconciler.web.ui.forms import local_path
from reconciler.web.ui.rendering import render
from reconciler.web.ui.site import Site, audited

if TYPE_CHECKING:
    from reconciler.web.kube.clients.oidc import Oidc

__all__ = ["BACK", "SCOPES", "Issuer", "come_back", "send_off"]

BACK: Final = "/login/issuer/back"
SCOPES: Final = ("openid", "profile", "email")
LONGEST: Final = 4096
NOT_NOW: Final = "The identity provider does not answer as it should. Try again in a moment; the controller's log has more."
REFUSED: Final = (
    "The identity provider did not let you in, or this login was begun in another browser. Try again."
)
NO_ROLE: Final = "You are logged in at the identity provider, but no role was granted to you here."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Issuer:
    """An issuer that users of the page log in at. `url` is where browsers reach the page, `secret` that of the client, if
    it has one.
    """

    oidc: Oidc
    url: str
    scopes: tuple[str, ...] = SCOPES
    ca_file: Path | None = None
    secret: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.oidc.settings.issuer.removeprefix("https://").rstrip("/")

    @cached_property
    def ask(self) -> Ask:
        """Asks the issuer."""
        return asking(self.ca_file)

    @property
    def back(self) -> str:
        """The address that the issuer sends browsers back to."""
        return self.url.rstrip("/") + BACK

    def way_to(self, state: str, nonce: str, verifier: str) -> str:
        """Where to send a browser. Raises IssuerError."""
        address = self._address("authorization_endpoint")
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.oidc.settings.client_id,
            "redirect_uri": self.back,
            "scope": " ".join(self.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{address}?{urlencode(query)}"

    def token_for(self, code: str, verifier: str) -> str:
        """The ID token that a code is worth. Raises IssuerError."""
        settings = self.oidc.settings
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.back,
            "client_id": settings.client_id,
            "code_verifier": verifier,
        }
        login = (settings.client_id, self.secret) if self.secret else None
        said = self.ask("POST", self._address("token_endpoint"), fields, login)
        answer = read_document(said, "its answer to a code")
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IssuerError("its answer to a code has no ID token")
        return token

    def _address(self, name: str) -> str:
        (address,) = read_addresses(self.oidc.settings.issuer, lambda url: self.ask("GET", url), [name])
        return address


async def send_off(site: Site, request: Request) -> Response:
    """Send the browser to the issuer."""
    issuer = _of(site)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    try:
        address = await to_thread.run_sync(lambda: issuer.way_to(state, nonce, verifier))
    except IssuerError as error:
        _log.warning("the OIDC issuer %s: %s", issuer.name, error)
        return _problem(HTTPStatus.SERVICE_UNAVAILABLE, NOT_NOW)
    response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    goal = local_path(request.query_params.get("next", "/"))
    sent = {"state": state, "nonce": nonce, "verifier": verifier, "next": goal}
    site.visitors.send_off(response, sent)
    return response


async def come_back(site: Site, request: Request) -> Response:
    """Let the user in that the issuer names."""
    issuer, sent = _of(site), site.visitors.came_back(request)
    try:
        client = await _client(site, issuer, request.query_params, sent)
        response = await to_thread.run_sync(lambda: _let_in(site, request, client, sent))
    except RefusedError as error:
        _log.info("a login at the OIDC issuer %s was refused: %s", issuer.name, error)
        await to_thread.run_sync(lambda: _audit(site, request, None, HTTPStatus.UNAUTHORIZED))
        response = _problem(HTTPStatus.UNAUTHORIZED, REFUSED)
    except (IssuerError, TimeoutError) as error:
        _log.warning("the OIDC issuer %s: %s", issuer.name, str(error) or "no answer")
        response = _problem(HTTPStatus.SERVICE_UNAVAILABLE, NOT_NOW)
    site.visitors.forget_way(response)
    return response


def _of(site: Site) -> Issuer:
    # Its addresses are served only where there is one.
    assert site.issuer is not None
    return site.issuer


async def _client(site: Site, issuer: Issuer, query: Mapping[str, str], sent: Mapping[str, str]) -> Client:
    state, code = query.get("state", ""), query.get("code", "")
    if not sent or not hmac.compare_digest(state.encode(), sent["state"].encode()):
        raise RefusedError("this browser was not sent to it, or came back already")
    # An answer of another issuer, which the browser was led to meanwhile (RFC 9207).
    if query.get("iss", issuer.oidc.settings.issuer) != issuer.oidc.settings.issuer:
        raise RefusedError("the answer is that of another issuer")
    if not code or len(code) > LONGEST:
        raise RefusedError(f"it says {query.get('error', 'nothing')[:80]!r} and gives no code")
    token = await to_thread.run_sync(lambda: issuer.token_for(code, sent["verifier"]))
    client = await issuer.oidc.client(token, site.now(), sent["nonce"])
    if site.visitors.users.get(client.user) is not None:
        raise RefusedError("it has the name of a user with a password; see --oidc-username-prefix")
    return client


def _let_in(site: Site, request: Request, client: Client, sent: Mapping[str, str]) -> Response:
    if client.role is None:
        _audit(site, request, client, HTTPStatus.FORBIDDEN)
        return _problem(HTTPStatus.FORBIDDEN, NO_ROLE)
    # First the audit log: no login is done that is not in it.
    _audit(site, request, client, HTTPStatus.OK)
    response = RedirectResponse(local_path(sent["next"]), HTTPStatus.SEE_OTHER)
    site.visitors.log_in_with(response, client, request.client.host if request.client else "")
    return response


def _audit(site: Site, request: Request, client: Client | None, code: HTTPStatus) -> None:
    who = client.record if client else {"user": "", "way": "oidc", "role": ""}
    reason = "" if code == HTTPStatus.OK else code.phrase.replace(" ", "")
    audited(site, request, who, {"verb": "login", "code": int(code), "reason": reason}, stage="done")


def _problem(status: HTTPStatus, message: str) -> Response:
    text = render("plain.html", title=status.phrase, message=message, host="", path="")
    return HTMLResponse(text, status)
