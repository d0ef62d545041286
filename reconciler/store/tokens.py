"""The bearer tokens of the API, in `<state>/tokens.json`: only their digests, so that the file gives no access.

A token is 256 random bits, which need no slow hash. Its name is in it, so that a leaked one can be revoked without being
tried. A client certificate that this state directory has issued is a row like a token, with its fingerprint as the digest.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from reconciler.api import PermanentError
from reconciler.store.rows import Rows

__all__ = ["NAME", "ROLES", "Role", "Token", "Tokens", "check_user"]

Role = Literal["view", "edit", "admin"]
Way = Literal["token", "certificate"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

FILE: Final = "tokens.json"
PREFIX: Final = "vault"
NAME: Final = "[A-Za-z0-9][A-Za-z0-9._@-]{0,62}"
"""The pattern of names of users."""
_TOKEN: Final = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{8}})_(?P<secret>[A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token: its user, its role, and until when it is valid (RFC 3339; None: until it is revoked). `way`
    is how a client shows it.
    """

    id: str
    user: str
    role: Role
    created: str
    expires: str | None
    way: Way = "token"

    def is_valid(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < datetime.fromisoformat(self.expires)


class Tokens:
    """The tokens of one state directory, for any number of threads and processes: a revoked one is refused at once."""

    def __init__(self, state_dir: Path, clock: Callable[[], datetime]) -> None:
        self._rows = Rows(state_dir / FILE, _decode, _encode, "remove it and create the tokens again")
        self._clock = clock

    def create(self, user: str, role: Role, expires: datetime | None) -> tuple[Token, str]:
        """A new token, and its text, which is stored nowhere. Raises PermanentError for an invalid name."""
        secret = secrets.token_urlsafe(32)
        token = self._add(user, role, expires, "token", _digest(secret))
        return token, f"{PREFIX}_{token.id}_{secret}"

    def add_certificate(self, user: str, role: Role, expires: datetime, fingerprint: str) -> Token:
        """Accept a client certificate; `fingerprint` is its SHA-256. Raises PermanentError for an invalid name."""
        return self._add(user, role, expires, "certificate", fingerprint)

    def _add(self, user: str, role: Role, expires: datetime | None, way: Way, digest: str) -> Token:
        check_user(user)
        now = self._clock()
        with self._rows.changing() as known:
            identifier = next(each for each in iter(lambda: secrets.token_hex(4), "") if each not in known)
            ends = None if expires is None else expires.isoformat()
            token = Token(identifier, user, role, now.isoformat(), ends, way)
            known[identifier] = (token, digest)
        return token

    def list(self) -> tuple[Token, ...]:
        """All of them, also those that have expired, the oldest first."""
        return tuple(sorted((token for token, _ in self._rows.all().values()), key=lambda each: each.created))

    def revoke(self, identifier: str) -> Token | None:
        """Remove one; None when there is none of that ID."""
        with self._rows.changing() as known:
            found = known.pop(identifier, None)
        return found[0] if found else None

    def find(self, text: str) -> Token | None:
        """The valid token of that text."""
        match = _TOKEN.fullmatch(text)
        token, digest = (match and self._rows.get(match["id"])) or (None, "")
        token = token if token is not None and token.way == "token" else None
        # Compared in any case: the time of a refusal must not tell which IDs exist.
        is_right = hmac.compare_digest(_digest(match["secret"] if match else ""), digest or _digest(" "))
        return token if token is not None and is_right and token.is_valid(self._clock()) else None

    def find_certificate(self, fingerprint: str) -> Token | None:
        """The row of a client certificate that is valid."""
        for token, digest in self._rows.all().values():
            if token.way == "certificate" and digest == fingerprint:
                return token if token.is_valid(self._clock()) else None
        return None

    def knows(self, token: Token) -> bool:
        """Whether it is still there and valid."""
        found, _ = self._rows.get(token.id) or (None, "")
        return found == token and token.is_valid(self._clock())


def _decode(found: Any) -> dict[str, tuple[Token, str]]:
    return {
        each["id"]: (Token(**{key: value for key, value in each.items() if key != "digest"}), each["digest"])
        for each in found["tokens"]
    }


def _encode(known: Mapping[str, tuple[Token, str]]) -> object:
    return {"tokens": [{**asdict(token), "digest": digest} for token, digest in known.values()]}


def check_user(user: str) -> None:
    """Raises PermanentError unless it can be the name of a user."""
    if not re.fullmatch(NAME, user):
        raise PermanentError(
            f"{user!r} cannot be a user: letters, digits, '.', '_', '@' and '-', at most 63 characters"
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
