"""The sessions of the page, in `<state>/sessions.json`, so that they outlast the controller and can be ended by it.

The file has digests: who reads it cannot take over a session. With the secret of a session the browser has the only copy.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler.store.rows import Rows, by_key

__all__ = ["LIFE", "Session", "Sessions"]

FILE: Final = "sessions.json"
LIFE: Final = timedelta(hours=12)
"""How long a session lasts, whether or not it is used."""
MAX_OF_ONE: Final = 20
"""Sessions of one user; a further one ends the oldest."""


@dataclass(frozen=True, slots=True)
class Session:
    """One login. `epoch` is that of the user's password at that time; times are RFC 3339.

    Of a user of an OIDC issuer `issuer` names that, and `groups` are those that the user had there at the login.
    """

    id: str
    user: str
    epoch: str
    begun: str
    address: str
    issuer: str = ""
    groups: tuple[str, ...] = ()

    def is_over(self, now: datetime) -> bool:
        """Whether its time is over. One from the future, after the clock was set back, is not believed."""
        begun = datetime.fromisoformat(self.begun)
        return not begun - timedelta(minutes=5) <= now < begun + LIFE


class Sessions:
    """The sessions of one state directory. Raises TemporaryError, PermanentError."""

    def __init__(self, state_dir: Path, clock: Callable[[], datetime]) -> None:
        self._rows = Rows(state_dir / FILE, *by_key(_load, asdict))
        self._clock = clock

    def begin(
        self, user: str, epoch: str, address: str, issuer: str = "", groups: tuple[str, ...] = ()
    ) -> str:
        """A new session of a user; the text is its secret, which is stored nowhere."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        with self._rows.changing() as rows:
            for each in [each for each in rows.values() if each.is_over(now)]:
                del rows[each.id]
            own = sorted((each for each in rows.values() if each.user == user), key=lambda each: each.begun)
            for each in own[: max(0, len(own) - MAX_OF_ONE + 1)]:
                del rows[each.id]
            identifier = _digest(secret)
            rows[identifier] = Session(
                identifier, user, epoch, now.isoformat(), address, issuer, tuple(groups)
            )
        return secret

    def find(self, secret: str) -> Session | None:
        """The session with this secret, if it was not ended and is not over."""
        return self.still(_digest(secret))

    def still(self, identifier: str) -> Session | None:
        """The session of that ID, if it was not ended and is not over."""
        found = self._rows.get(identifier)
        return None if found is None or found.is_over(self._clock()) else found

    def end(self, identifier: str) -> None:
        """End one; safe to repeat."""
        with self._rows.changing() as rows:
            rows.pop(identifier, None)

    def end_all(self, user: str) -> int:
        """End all sessions of a user, and return how many there were."""
        with self._rows.changing() as rows:
            own = [each.id for each in rows.values() if each.user == user]
            for each in own:
                del rows[each]
        return len(own)

    def of(self, user: str) -> tuple[Session, ...]:
        """The sessions of a user that last, the newest first."""
        now = self._clock()
        own = (each for each in self._rows.all().values() if each.user == user and not each.is_over(now))
        return tuple(sorted(own, key=lambda each: each.begun, reverse=True))


def _load(row: dict[str, Any]) -> Session:
    session = Session(**{**row, "groups": tuple(row.get("groups", ()))})
    datetime.fromisoformat(session.begun)
    return session


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
