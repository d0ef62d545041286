"""Access control of the controller's HTTP server: open on the loopback by default, with credentials elsewhere.

Credentials are compared as digests in constant time, and no log or response repeats one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection
from pathlib import Path
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.api.errors import PermanentError

__all__ = ["OPEN_PATHS", "Access", "AccessError", "AccessMiddleware"]

OPEN_PATHS: Final = ("/healthz", "/readyz", "/hooks/git")
"""Supervisors have no credentials, and a webhook is authenticated by its signature."""

EXAMPLE: Final = '"bearer TOKEN" or "basic USER:PASSWORD"'
MINIMUM_LENGTH: Final = 12
"""Minimum length of a token or a password: a shorter one could be guessed over a network."""
OTHERS: Final = 0o077


class AccessError(PermanentError):
    """The file of credentials cannot be used."""


class Access:
    """The accepted credentials."""

    def __init__(self, *, tokens: Collection[str] = (), logins: Collection[str] = ()) -> None:
        """`tokens` for the Bearer scheme, `logins` ("user:password") for Basic."""
        self._digests = {
            "bearer": [_digest(token.encode()) for token in tokens],
            "basic": [_digest(login.encode()) for login in logins],
        }

    @classmethod
    def read(cls, path: Path) -> Access:
        """Read a file with one credential on each line, and comments after `#` at the start of a line.

        Raises AccessError, without quoting the file, if others may read it or a line is invalid.
        """
        try:
            if path.stat().st_mode & OTHERS:
                raise AccessError(f"{path}: other users may read the credentials in it: chmod 600 {path}")
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise AccessError(f"{path}: cannot read the credentials: {reason}") from error
        found: dict[str, list[str]] = {"bearer": [], "basic": []}
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                scheme, _, credential = line.strip().partition(" ")
                _check(f"{path}:{number}", scheme.lower(), credential.strip())
                found[scheme.lower()].append(credential.strip())
        if not any(found.values()):
            raise AccessError(f"{path}: holds no credential; write {EXAMPLE} on a line of its own")
        return cls(tokens=found["bearer"], logins=found["basic"])

    def allows(self, authorization: str) -> bool:
        """Whether the value of an Authorization header is one of the credentials."""
        scheme, _, credential = authorization.partition(" ")
        presented = credential.strip().encode()
        if scheme.lower() == "basic":
            try:
                presented = base64.b64decode(presented, validate=True)
            except (binascii.Error, ValueError):
                return False
        digest = _digest(presented)
        # No early return: the time of a refusal must not reveal the position in the list.
        known = self._digests.get(scheme.lower(), ())
        return sum(hmac.compare_digest(digest, each) for each in known) > 0


class AccessMiddleware:
    """Answers 401 to requests without a credential, except for OPEN_PATHS."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests that are open or allowed."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._access.allows(_header(scope)):
            await self._app(scope, receive, send)
            return
        answer = JSONResponse(
            {"error": "a credential is required"},
            status_code=401,
            headers={
                "WWW-Authenticate": 'Basic realm="vault-reconciler", Bearer',
                "Cache-Control": "no-store",
            },
        )
        await answer(scope, receive, send)


def _header(scope: Scope) -> str:
    values: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _check(place: str, scheme: str, credential: str) -> None:
    if scheme not in ("bearer", "basic") or not credential:
        raise AccessError(f"{place}: not a credential; write {EXAMPLE}")
    if scheme == "basic" and ":" not in credential:
        raise AccessError(f"{place}: a basic credential is USER:PASSWORD")
    secret = credential.partition(":")[2] if scheme == "basic" else credential
    if len(secret) < MINIMUM_LENGTH:
        raise AccessError(f"{place}: shorter than {MINIMUM_LENGTH} characters, which can be guessed")


def _digest(credential: bytes) -> bytes:
    return hashlib.sha256(credential).digest()
