"""A client that is known: its name, its groups, its role, and the way in that it has used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from reconciler.store.tokens import Role, Token

__all__ = ["AUTHENTICATED", "GROUP_PREFIX", "RESERVED", "Client", "RefusedError", "Way", "client_of"]

GROUP_PREFIX: Final = "vault:"
AUTHENTICATED: Final = "system:authenticated"
RESERVED: Final = (GROUP_PREFIX, "system:")
"""Beginnings of names and groups that only this server gives."""

Way = Literal["token", "certificate", "oidc", "password"]


class RefusedError(Exception):
    """A credential that is not accepted. Its text is for the log of the controller: the client is told nothing."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. Without a role a client may only ask about itself.

    `credential` tells which one was used, and is no secret: the ID of a token, the serial number of a certificate, the
    issuer of an OIDC token, the beginning of the digest of a session of the page. `token` is the row of the state
    directory, if there is one; `until` ends the others.
    """

    user: str
    groups: tuple[str, ...]
    role: Role | None
    way: Way
    credential: str
    until: datetime | None = None
    token: Token | None = None

    @property
    def record(self) -> dict[str, str]:
        """What the audit log says of it."""
        return {"user": self.user, "way": self.way, self.way: self.credential, "role": self.role or ""}


def client_of(token: Token) -> Client:
    """The client with a token or a certificate that this state directory has issued."""
    groups = (f"{GROUP_PREFIX}{token.role}", AUTHENTICATED)
    return Client(token.user, groups, token.role, token.way, token.id, token=token)
