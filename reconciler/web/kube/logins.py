"""Tokens of the API and users of the page as resources, for admins alone.

The text of a token is in one answer, that to its creation; a password is in none. Neither is in the audit log, which has no
content of documents, nor in an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.store.passwords import Busy, check_password
from reconciler.store.tokens import Role, check_user
from reconciler.web.kube.errors import Cause, invalid, not_found
from reconciler.web.kube.sent import Sent, sent
from reconciler.web.kube.served import PASSWORD, TOKENS, USERS, Served
from reconciler.web.kube.writes import (
    Act,
    Answer,
    Asked,
    deletion_options,
    document_of,
    gone,
    is_dry_run_of_deletion,
)

if TYPE_CHECKING:
    from reconciler.store.tokens import Token, Tokens
    from reconciler.store.users import User, Users

__all__ = ["LONGEST_LIFE", "deciding_who", "token_documents", "user_documents"]

LONGEST_LIFE: Final = 100 * 365 * 86400
"""Seconds."""

Document = Mapping[str, Any]


class _Token(Sent):
    user: str
    role: Role = "view"
    expiration_seconds: int | None = Field(default=None, ge=1, le=LONGEST_LIFE)


class _Password(Sent):
    password: str = Field(repr=False)
    role: Role | None = None


def token_documents(tokens: Tokens) -> Mapping[str, Document]:
    """The tokens and client certificates, without what only their clients have."""
    return {each.id: _token(each) for each in tokens.list()}


def user_documents(users: Users) -> Mapping[str, Document]:
    """The users of the page, without what their passwords are recognised by."""
    return {each.name: _user(each) for each in users.list()}


def deciding_who(tokens: Tokens, users: Users, now: Callable[[], datetime]) -> Mapping[tuple[str, str], Act]:
    """What is done for writes of tokens and users."""

    def create(asked: Asked) -> Answer:
        _refuse_name(asked)
        wanted = sent(asked, _Token)
        _check(asked, "spec.user", lambda: check_user(wanted.user))
        life = wanted.expiration_seconds
        expires = None if life is None else now() + timedelta(seconds=life)
        if asked.dry_run:
            ends = expires.isoformat() if expires else None
            return Answer(
                201, _whole(TOKENS, _token_of("", wanted.user, wanted.role, now().isoformat(), ends, "token"))
            )
        token, text = tokens.create(wanted.user, wanted.role, expires)
        made = _token(token)
        return Answer(201, _whole(TOKENS, {**made, "status": {**made["status"], "token": text}}))

    def set_password(asked: Asked) -> Answer:
        wanted = sent(asked, _Password)
        _check(asked, "metadata.name", lambda: check_user(asked.name))
        _check(asked, "spec.password", lambda: check_password(wanted.password))
        if asked.dry_run:
            known = users.get(asked.name)
            role = wanted.role or (known.role if known else "admin")
            return Answer(201, _whole(USERS, _user_of(asked.name, role, now().isoformat())))
        try:
            return Answer(
                201, _whole(USERS, _user(users.set_password(asked.name, wanted.password, wanted.role)))
            )
        except Busy:
            raise TemporaryError("others log in at this moment; ask again") from None

    def deleting(knows: Callable[[str], bool], delete: Callable[[str], object]) -> Act:
        def act(asked: Asked) -> Answer:
            is_dry = is_dry_run_of_deletion(asked, deletion_options(asked))
            if not (knows(asked.name) if is_dry else delete(asked.name)):
                raise not_found(asked.served.group, asked.served.plural, asked.name)
            return gone(asked)

        return act

    return {
        (TOKENS.kind, "create"): create,
        (TOKENS.kind, "delete"): deleting(lambda name: name in token_documents(tokens), tokens.revoke),
        (USERS.kind, "delete"): deleting(lambda name: users.get(name) is not None, users.remove),
        (USERS.kind, PASSWORD): set_password,
    }


def _refuse_name(asked: Asked) -> None:
    metadata = document_of(asked).get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("name"):
        why = "the ID of a token is chosen by the server: leave it out, or write generateName"
        raise invalid(TOKENS.group, TOKENS.kind, "", [Cause("metadata.name", why)])


def _check(asked: Asked, field: str, check: Callable[[], object]) -> None:
    try:
        check()
    except PermanentError as error:
        raise invalid(asked.served.group, asked.served.kind, asked.name, [Cause(field, str(error))]) from None


def _whole(served: Served, document: Document) -> Document:
    return {"apiVersion": served.api_version, "kind": served.kind, **document}


def _token(each: Token) -> dict[str, Any]:
    return _token_of(each.id, each.user, each.role, each.created, each.expires, each.way)


def _token_of(name: str, user: str, role: str, created: str, expires: str | None, way: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"user": user, "role": role},
        "status": {"way": way, "expirationTimestamp": expires},
    }


def _user(each: User) -> dict[str, Any]:
    return _user_of(each.name, each.role, each.changed)


def _user_of(name: str, role: str, changed: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"role": role},
        "status": {"passwordSetTimestamp": changed},
    }
