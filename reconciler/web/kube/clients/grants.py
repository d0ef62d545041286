"""Which role the users and groups of other authorities have: nothing unless it was granted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from reconciler.store.tokens import ROLES
from reconciler.web.kube.clients.client import RESERVED, RefusedError

if TYPE_CHECKING:
    from reconciler.store.tokens import Role

__all__ = ["Grant", "Grants", "checked_groups", "checked_user", "parse_grant"]

MAX_NAME: Final = 256
MAX_GROUPS: Final = 500


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for a user or for the members of a group."""

    role: Role
    to: Literal["user", "group"]
    name: str


@dataclass(frozen=True, slots=True)
class Grants:
    """All of them."""

    all: tuple[Grant, ...] = ()

    def role_of(self, user: str, groups: Iterable[str]) -> Role | None:
        """The greatest role that was granted to this user or to one of these groups."""
        known = {("user", user), *(("group", each) for each in groups)}
        found = {each.role for each in self.all if (each.to, each.name) in known}
        return max(found, key=ROLES.index, default=None)


def parse_grant(text: str) -> Grant:
    """The grant of "edit=group:deployers". Raises ValueError."""
    role, _, subject = text.partition("=")
    to, _, name = subject.partition(":")
    if role not in ROLES or to not in ("user", "group") or not _is_name(name):
        raise ValueError(
            f"{text!r} is no grant: write ROLE=user:NAME or ROLE=group:NAME, and {', '.join(ROLES)} as the ROLE"
        )
    if name.startswith(RESERVED):
        raise ValueError(
            f"{text!r}: names that begin with {' or '.join(RESERVED)} are given by the controller"
        )
    return Grant(role, cast("Literal['user', 'group']", to), name)


def checked_user(name: object) -> str:
    """The name of a user that another authority has given. Raises RefusedError."""
    if not isinstance(name, str) or not _is_name(name):
        raise RefusedError(f"the name of the user is not a text of 1 to {MAX_NAME} printable characters")
    if name.startswith(RESERVED):
        raise RefusedError("the name of the user is reserved")
    return name


def checked_groups(groups: Iterable[object]) -> tuple[str, ...]:
    """Groups that another authority has given, without those that only this server gives. Raises RefusedError."""
    found = []
    for each in groups:
        if not isinstance(each, str) or not _is_name(each):
            raise RefusedError(f"a group is not a text of 1 to {MAX_NAME} printable characters")
        if not each.startswith(RESERVED):
            found.append(each)
        if len(found) > MAX_GROUPS:
            raise RefusedError(f"more than {MAX_GROUPS} groups")
    return tuple(dict.fromkeys(found))


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable()
