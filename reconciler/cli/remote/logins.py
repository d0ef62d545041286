"""Tokens and users of a controller over the API: what `token`, `kubeconfig` and `user` ask of a state directory.

They have the methods of `store.tokens.Tokens` and `store.users.Users` that these verbs use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import API_VERSION
from reconciler.cli.remote.connection import Connection, MissingError
from reconciler.store.tokens import Role, Token
from reconciler.store.users import User

__all__ = ["RemoteTokens", "RemoteUsers"]

TOKENS: Final = f"/apis/{API_VERSION}/tokens"
USERS: Final = f"/apis/{API_VERSION}/users"


class RemoteTokens:
    """The tokens of a controller, for an admin."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def create(self, user: str, role: Role, expires: datetime | None) -> tuple[Token, str]:
        """A new token, and its text, which is not stored. Raises VaultError."""
        spec: dict[str, Any] = {"user": user, "role": role}
        if expires is not None:
            # How long, because the clocks of two machines differ.
            spec["expirationSeconds"] = max(1, round((expires - self._clock()).total_seconds()))
        document = self._connection.ask("POST", TOKENS, _document("Token", spec))
        return _token(document), str(document["status"]["token"])

    def list(self) -> tuple[Token, ...]:
        """All of them, also those that have expired, the oldest first."""
        found = [_token(each) for each in self._connection.items(TOKENS)]
        return tuple(sorted(found, key=lambda each: each.created))

    def revoke(self, identifier: str) -> Token | None:
        """Remove one; None when there is none of that ID."""
        path = f"{TOKENS}/{quote(identifier, safe='')}"
        try:
            found = _token(self._connection.ask("GET", path))
            self._connection.ask("DELETE", path)
        except MissingError:
            return None
        return found


class RemoteUsers:
    """The users of the page of a controller, for an admin."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def set_password(self, name: str, password: str, role: Role | None) -> User:
        """Add a user, or give one another password; it is only in the body of the request. Raises VaultError."""
        spec = {"password": password, **({"role": role} if role else {})}
        path = f"{USERS}/{quote(name, safe='')}/password"
        return _user(self._connection.ask("POST", path, _document("Password", spec)))

    def list(self) -> tuple[User, ...]:
        """All of them by name."""
        return tuple(_user(each) for each in self._connection.items(USERS))

    def remove(self, name: str) -> bool:
        """Remove one, and with it all of its sessions; False when there is none."""
        try:
            self._connection.ask("DELETE", f"{USERS}/{quote(name, safe='')}")
        except MissingError:
            return False
        return True


def _document(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "spec": spec}


def _token(document: Mapping[str, Any]) -> Token:
    metadata, spec, status = _parts(document)
    created, expires = metadata["creationTimestamp"], status["expirationTimestamp"]
    return Token(metadata["name"], spec["user"], spec["role"], created, expires, status["way"])


def _user(document: Mapping[str, Any]) -> User:
    metadata, spec, status = _parts(document)
    return User(metadata["name"], spec["role"], status["passwordSetTimestamp"], "", "")


def _parts(document: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    try:
        return document["metadata"], document["spec"], document["status"]
    except KeyError:
        raise PermanentError("the API answers no such object: is it that of a controller?") from None
