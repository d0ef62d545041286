"""The people who may log in to the page, in `<state>/users.json`: names, roles and digests of passwords.

Each setting of a password gives the user another `epoch`; sessions and failed logins belong to one, so that a new password
ends the former sessions, and lets a user in at once who was slowed down by wrong passwords of others.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from reconciler.store.passwords import check_password, digest_of, matches
from reconciler.store.rows import Rows, by_key
from reconciler.store.tokens import ROLES, Role, check_user

__all__ = ["User", "Users"]

FILE: Final = "users.json"


@dataclass(frozen=True, slots=True)
class User:
    """One of them. `changed` is when the password was set (RFC 3339)."""

    name: str
    role: Role
    changed: str
    epoch: str
    digest: str = field(repr=False)


class Users:
    """The users of one state directory, for any number of threads and processes. Raises TemporaryError, PermanentError."""

    def __init__(self, state_dir: Path, clock: Callable[[], datetime]) -> None:
        self._rows = Rows(state_dir / FILE, *by_key(_load, asdict))
        self._clock = clock

    def set_password(self, name: str, password: str, role: Role | None) -> User:
        """Add a user, or give one another password; without a `role` it stays, and is `admin` for a new one."""
        check_user(name)
        check_password(password)
        digest = digest_of(password)
        with self._rows.changing() as rows:
            known = rows.get(name)
            role = role or (known.role if known else "admin")
            rows[name] = User(name, role, self._clock().isoformat(), secrets.token_hex(8), digest)
            return rows[name]

    def list(self) -> tuple[User, ...]:
        """All of them by name."""
        return tuple(sorted(self._rows.all().values(), key=lambda each: each.name))

    def get(self, name: str) -> User | None:
        """The one of that name."""
        return self._rows.get(name)

    def remove(self, name: str) -> bool:
        """Remove one, and with it all of its sessions; False when there is none."""
        with self._rows.changing() as rows:
            return rows.pop(name, None) is not None

    def verify(self, name: str, password: str) -> User | None:
        """The user of that name, if this is the password. It takes as long for a name that is not known. Raises Busy."""
        user = self.get(name)
        return user if matches(password, user.digest if user else None) and user else None


def _load(row: dict[str, Any]) -> User:
    user = User(**row)
    if user.role not in ROLES or len(user.digest.split("$")) != 6:
        raise ValueError("not a user")
    return user
