"""What a registry wants to see in the header Authorization: a password, or a token that another server gives for it.

A token is for one repository and kept until shortly before its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from reconciler.http import Answer, Http
from reconciler.registry.challenge import BASIC, BEARER, Challenge, read_challenges
from reconciler.registry.credentials import Credentials, Login
from reconciler.registry.errors import NoAccessError, RegistryError
from reconciler.registry.http import is_local

__all__ = ["Logins"]

DEFAULT_LIFE: Final = 60.0
LONGEST_LIFE: Final = 3600.0
MARGIN: Final = 10.0
"""Seconds before its end from which a token is not used any more."""
MOST_KNOWN: Final = 1000
CLIENT: Final = "vault-reconciler"

OK: Final = 200
CLIENT_ERRORS: Final = range(400, 500)
TOO_MANY: Final = 429

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=:-]{1,65536}")


@dataclass(frozen=True, slots=True)
class _Header:
    value: str = field(repr=False)
    until: float


class Logins:
    """The headers for registries; `clock` gives seconds that only grow."""

    def __init__(self, http: Http, credentials: Credentials, clock: Callable[[], float]) -> None:
        self._http = http
        self._credentials = credentials
        self._clock = clock
        self._known: dict[tuple[str, str], _Header] = {}

    def known(self, registry: str, repository: str) -> str | None:
        """The header that this registry wanted before, while it holds."""
        found = self._known.get((registry, repository))
        return found.value if found and self._clock() < found.until else None

    def answer(self, registry: str, repository: str, refusal: Answer) -> str:
        """The header that answers a refusal. Raises NoAccessError if there is none, or the refused one was right."""
        had = self._known.pop((registry, repository), None)
        challenges = {
            each.scheme: each for each in read_challenges(refusal.headers.get("www-authenticate", ""))
        }
        login = self._credentials.of(registry)
        if (bearer := challenges.get(BEARER)) is not None:
            header = self._token(registry, repository, bearer, login)
        elif BASIC in challenges and login is not None and not login.identity:
            header = _Header(login.basic, self._clock() + LONGEST_LIFE)
        else:
            raise self.refused(registry, login)
        if had is not None and had.value == header.value:
            raise self.refused(registry, login)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[registry, repository] = header
        return header.value

    def forget(self, registry: str, repository: str) -> None:
        """The header of this repository was refused."""
        self._known.pop((registry, repository), None)

    def refused(self, registry: str, login: Login | None = None) -> NoAccessError:
        """Why there is no access, and what to do."""
        if login is None:
            login = self._credentials.of(registry)
        if login is None:
            return NoAccessError(
                f"{registry} wants credentials, or has no such image; {self._credentials.place} has none for it, which "
                f"docker login {registry} changes"
            )
        return NoAccessError(
            f"{registry} refuses the credentials of {self._credentials.place}; log in with others: docker login {registry}"
        )

    def _token(self, registry: str, repository: str, challenge: Challenge, login: Login | None) -> _Header:
        realm = challenge.parameters.get("realm", "")
        try:
            parts = urlsplit(realm)
        except ValueError:
            parts = urlsplit("")
        is_plain = parts.scheme == "http" and is_local(registry) and is_local(parts.netloc)
        if not (parts.scheme == "https" or is_plain) or not parts.hostname or "@" in parts.netloc:
            raise RegistryError(f"{registry} names no https:// address where tokens are to be had")
        asked = {"scope": f"repository:{repository}:pull"}
        if service := challenge.parameters.get("service"):
            asked["service"] = service
        if login is not None and login.identity:
            form = {
                "grant_type": "refresh_token",
                "client_id": CLIENT,
                "refresh_token": login.identity,
                **asked,
            }
            answer = self._http.ask("POST", realm, {}, form)
        else:
            headers = {"Authorization": login.basic} if login else {}
            answer = self._http.ask("GET", f"{realm}{'&' if parts.query else '?'}{urlencode(asked)}", headers)
        if answer.status in CLIENT_ERRORS and answer.status != TOO_MANY:
            raise self.refused(registry, login)
        if answer.status != OK:
            raise RegistryError(
                f"{parts.netloc}, which gives the tokens of {registry}, answers {answer.status}"
            )
        return self._read(parts.netloc, answer)

    def _read(self, host: str, answer: Answer) -> _Header:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            document = None
        found = document if isinstance(document, dict) else {}
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise RegistryError(f"{host} gave an answer without a token")
        life = found.get("expires_in")
        # An integer of JSON may be too large for a float.
        seconds = min(life, LONGEST_LIFE) if isinstance(life, int | float) and life > 0 else DEFAULT_LIFE
        return _Header(f"Bearer {token}", self._clock() + max(1.0, seconds - MARGIN))
