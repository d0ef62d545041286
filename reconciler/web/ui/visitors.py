"""Who asks: the cookies of a browser, the session behind them, and the tokens of its forms."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from reconciler.store.sessions import LIFE, Session, Sessions
from reconciler.web.kube.clients.client import AUTHENTICATED, GROUP_PREFIX, Client
from reconciler.web.kube.clients.grants import Grants

if TYPE_CHECKING:
    from reconciler.store.users import User, Users
    from reconciler.web.ui.signing import Signing

__all__ = ["Visitor", "Visitors"]

# The prefix makes browsers refuse one that another host, or HTTP without TLS, has set.
SESSION_COOKIE: Final = "__Host-vault-session"
BEFORE_COOKIE: Final = "__Host-vault-before"
DEVICE_COOKIE: Final = "__Host-vault-device"
AWAY_COOKIE: Final = "__Host-vault-away"
BEFORE_SECONDS: Final = 3600.0
AWAY_SECONDS: Final = 600.0
DEVICE_SECONDS: Final = 90 * 86400.0
SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user who is logged in; `token` is for the forms of this session."""

    client: Client
    session: Session
    token: str


@dataclass(frozen=True)
class Visitors:
    """The sessions behind the cookies. Nothing that a browser sends is believed without a signature.

    Users of `issuer`, if there is one, have the roles that `grants` give them now, whatever they were at the login.
    """

    users: Users
    sessions: Sessions
    signing: Signing
    now: Callable[[], datetime]
    issuer: str = ""
    grants: Grants = field(default_factory=Grants)

    def who(self, request: HTTPConnection) -> Visitor | None:
        """The user of a request; None without a session that lasts."""
        secret = self.signing.read("session", request.cookies.get(SESSION_COOKIE, ""), LIFE.total_seconds())
        session = self.sessions.find(secret) if isinstance(secret, str) else None
        client = self._client_of(session) if session else None
        if session is None or client is None:
            return None
        return Visitor(client, session, self.signing.sign("form", session.id))

    def is_there(self, visitor: Visitor) -> bool:
        """Whether a session still lasts, with the role that it had."""
        session = self.sessions.still(visitor.session.id)
        client = self._client_of(session) if session else None
        return client is not None and client.role == visitor.client.role

    def has_token(self, visitor: Visitor, form_token: str) -> bool:
        """Whether a form was made for this session: one that another site sends cannot know its token."""
        found = self.signing.read("form", form_token, LIFE.total_seconds())
        return isinstance(found, str) and hmac.compare_digest(found, visitor.session.id)

    def log_in(self, response: Response, user: User, address: str) -> None:
        """Begin a session, always a new one: no cookie that the browser had before becomes one."""
        self._begin(response, self.sessions.begin(user.name, user.epoch, address))

    def log_in_with(self, response: Response, client: Client, address: str) -> None:
        """Begin a session of a user that the issuer has named."""
        groups = tuple(each for each in client.groups if each != AUTHENTICATED)
        secret = self.sessions.begin(client.user, "", address, client.credential, groups)
        self._begin(response, secret)

    def _begin(self, response: Response, secret: str) -> None:
        _set(response, SESSION_COOKIE, self.signing.sign("session", secret), LIFE.total_seconds())
        _forget(response, BEFORE_COOKIE)

    def log_out(self, response: Response, visitor: Visitor, *, everywhere: bool) -> None:
        """End the session, or all of the user."""
        if everywhere:
            self.sessions.end_all(visitor.client.user)
        else:
            self.sessions.end(visitor.session.id)
        _forget(response, SESSION_COOKIE)

    # Before the login

    def login_token(self, request: HTTPConnection) -> tuple[str, str]:
        """A token for a login form, and the cookie that it needs."""
        nonce = self._nonce(request) or secrets.token_urlsafe(16)
        return self.signing.sign("login form", nonce), self.signing.sign("before", nonce)

    def keep_before(self, response: Response, cookie: str) -> None:
        """Set the cookie of `login_token`."""
        _set(response, BEFORE_COOKIE, cookie, BEFORE_SECONDS)

    def may_log_in(self, request: HTTPConnection, form_token: str) -> bool:
        """Whether a login form was made for this browser."""
        nonce, found = self._nonce(request), self.signing.read("login form", form_token, BEFORE_SECONDS)
        return nonce is not None and isinstance(found, str) and hmac.compare_digest(found, nonce)

    def _nonce(self, request: HTTPConnection) -> str | None:
        found = self.signing.read("before", request.cookies.get(BEFORE_COOKIE, ""), BEFORE_SECONDS)
        return found if isinstance(found, str) else None

    # Browsers that have logged in before

    def device(self, request: HTTPConnection, name: str) -> str | None:
        """What tells this browser from others, if this user has logged in with it."""
        found = self.signing.read("device", request.cookies.get(DEVICE_COOKIE, ""), DEVICE_SECONDS)
        is_its = isinstance(found, list) and len(found) == 2 and found[0] == name
        return str(found[1]) if is_its else None

    def remember(self, response: Response, name: str) -> None:
        """Remember that this user has logged in with this browser."""
        value = self.signing.sign("device", [name, secrets.token_urlsafe(12)])
        _set(response, DEVICE_COOKIE, value, DEVICE_SECONDS)

    # On the way to the issuer and back

    def send_off(self, response: Response, value: Mapping[str, str]) -> None:
        """Have the browser keep what it is sent to the issuer with."""
        _set(response, AWAY_COOKIE, self.signing.sign("away", value), AWAY_SECONDS)

    def came_back(self, request: HTTPConnection) -> Mapping[str, str]:
        """What this browser was sent off with; nothing if it was not."""
        found = self.signing.read("away", request.cookies.get(AWAY_COOKIE, ""), AWAY_SECONDS)
        return found if isinstance(found, dict) else {}

    def forget_way(self, response: Response) -> None:
        """A browser comes back once."""
        _forget(response, AWAY_COOKIE)

    def _client_of(self, session: Session) -> Client | None:
        if session.issuer:
            role = (
                self.grants.role_of(session.user, session.groups) if session.issuer == self.issuer else None
            )
            found = (*session.groups, AUTHENTICATED)
            return Client(session.user, found, role, "oidc", session.issuer) if role else None
        user = self.users.get(session.user)
        if user is None or user.epoch != session.epoch:
            return None
        groups = (f"{GROUP_PREFIX}{user.role}", AUTHENTICATED)
        return Client(user.name, groups, user.role, "password", session.id[:SHORT])


def _set(response: Response, name: str, value: str, seconds: float) -> None:
    response.set_cookie(
        name, value, max_age=int(seconds), path="/", secure=True, httponly=True, samesite="lax"
    )


def _forget(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
