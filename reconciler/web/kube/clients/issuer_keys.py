"""The public keys of an OIDC issuer: fetched when they are needed, kept in memory, and forgotten when they are too old.

The addresses come from the operator's settings and from the issuer's own document, never from a token. A fetch runs in a
thread of its own, one at a time and not often, so that unknown tokens cannot have the issuer asked without end.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from reconciler.http import Http, of_machine
from reconciler.web.kube.clients.oidc_settings import check_url

__all__ = [
    "FRESH_SECONDS",
    "KEPT_SECONDS",
    "PAUSE_SECONDS",
    "Ask",
    "IssuerError",
    "IssuerKeys",
    "Key",
    "asking",
    "fetching",
    "read_addresses",
    "read_document",
]

FRESH_SECONDS: Final = 300.0
"""Older keys are fetched again, so that one that the issuer has withdrawn is not accepted for long."""
KEPT_SECONDS: Final = 3600.0
"""How long keys are used while the issuer does not answer."""
PAUSE_SECONDS: Final = 10.0
"""Shortest time between two fetches."""
TIMEOUT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 10.0
MAX_ANSWER: Final = 512 * 1024
MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2048
DISCOVERY: Final = "/.well-known/openid-configuration"

Key = RSAKey | ECKey
Fetch = Callable[[str], bytes]
_TYPES: Final[Mapping[str, type[RSAKey] | type[ECKey]]] = {"RSA": RSAKey, "EC": ECKey}

_log = logging.getLogger(__name__)


class IssuerError(Exception):
    """The issuer does not answer, or not as one does."""


@dataclass(frozen=True)
class _Kept:
    """The keys, and when they were fetched, on the clock of the process."""

    keys: tuple[Key, ...]
    at: float


class IssuerKeys:
    """The keys of one issuer, for any number of threads. `tell` is told of each fetch whether it has succeeded."""

    def __init__(
        self,
        issuer: str,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._issuer = issuer
        self._tell = tell
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._running: Future[None] | None = None
        self._asked_at = float("-inf")

    def known(self) -> tuple[Key, ...]:
        """The keys that are known now; old ones are fetched again meanwhile."""
        kept = self._kept
        age = float("inf") if kept is None else self._clock() - kept.at
        if age > FRESH_SECONDS:
            self.refresh()
        return kept.keys if kept is not None and age <= KEPT_SECONDS else ()

    def refresh(self) -> Future[None]:
        """Begin a fetch unless one is running or has just been tried; done when it has ended, however it did."""
        with self._lock:
            if self._running is not None and not self._running.done():
                return self._running
            now = self._clock()
            if now - self._asked_at < PAUSE_SECONDS:
                done: Future[None] = Future()
                done.set_result(None)
                return done
            self._asked_at = now
            self._running = Future()
            threading.Thread(target=self._run, args=(self._running,), name="oidc-keys", daemon=True).start()
            return self._running

    def _run(self, done: Future[None]) -> None:
        has_succeeded = False
        try:
            keys = read_keys(self._issuer, self._fetch)
            self._kept = _Kept(keys, self._clock())
            has_succeeded = True
        except IssuerError as error:
            _log.warning(
                "no keys of the OIDC issuer %s, whose tokens are refused until there are: %s",
                self._issuer,
                error,
            )
        except Exception:
            _log.exception("reading the keys of the OIDC issuer %s", self._issuer)
        finally:
            self._tell(has_succeeded)
            done.set_result(None)


def read_keys(issuer: str, fetch: Fetch) -> tuple[Key, ...]:
    """The keys that the issuer publishes for signatures. Raises IssuerError."""
    (url,) = read_addresses(issuer, fetch, ["jwks_uri"])
    rows = read_document(fetch(url), "its set of keys").get("keys")
    if not isinstance(rows, list) or len(rows) > MAX_KEYS:
        raise IssuerError(f"its set of keys is not a list of at most {MAX_KEYS} keys")
    keys = [key for key in map(_key, rows) if key is not None]
    if not keys:
        raise IssuerError("its set of keys has no RSA or EC key for signatures")
    return tuple(keys)


def read_addresses(issuer: str, fetch: Fetch, names: Sequence[str]) -> list[str]:
    """Addresses that the issuer's discovery document has under these names. Raises IssuerError."""
    found = read_document(fetch(issuer.rstrip("/") + DISCOVERY), "its discovery document")
    if found.get("issuer") != issuer:
        raise IssuerError(
            f"its discovery document is that of the issuer {str(found.get('issuer'))[:200]!r}; "
            "--oidc-issuer-url has to be the same text"
        )
    for name in names:
        url = found.get(name)
        try:
            check_url(url if isinstance(url, str) else "")
        except ValueError as error:
            raise IssuerError(f"the address {name} of its discovery document: {error}") from None
    return [str(found[name]) for name in names]


def read_document(content: bytes, what: str) -> Mapping[str, Any]:
    """An object in JSON. Raises IssuerError."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise IssuerError(f"{what} is not an object in JSON")
    return found


def _key(row: Any) -> Key | None:
    """A key for signatures; None for others, which a set may have as well. A shared secret is never one."""
    type_ = _TYPES.get(str(row.get("kty"))) if isinstance(row, dict) else None
    if type_ is None or row.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in row.items() if name in _FIELDS and isinstance(value, str)}
    if type_ is RSAKey and len(public.get("n", "")) * 6 < MIN_RSA_BITS:
        return None
    try:
        return type_.import_key(public)  # type: ignore[arg-type]
    except (JoseError, ValueError, TypeError, KeyError):
        return None


_FIELDS: Final = frozenset({"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"})


def fetching(ca_file: Path | None) -> Fetch:
    """Reads documents from an issuer that is trusted by `ca_file`, or as the machine trusts servers."""
    ask = asking(ca_file)
    return lambda url: ask("GET", url)


class Ask(Protocol):
    """Asks an issuer."""

    def __call__(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> bytes:
        """What it answers, to a form if there is one; `login` is the name and the secret of a client (RFC 6749, 2.3.1).
        Raises IssuerError.
        """
        ...


def asking(ca_file: Path | None) -> Ask:
    """Asks an issuer that is trusted by `ca_file`, or as the machine trusts servers."""
    http = Http(
        IssuerError,
        lambda _: of_machine(os.environ) if ca_file is None else str(ca_file),
        lambda _: "see --oidc-ca-file",
        TIMEOUT_SECONDS,
        TOTAL_SECONDS,
        MAX_ANSWER,
    )

    def ask(
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> bytes:
        headers = {"Accept": "application/json"}
        if login:
            words = ":".join(map(quote_plus, login))
            headers["Authorization"] = f"Basic {b64encode(words.encode()).decode()}"
        answer = http.ask(method, url, headers, form)
        if answer.status != HTTPStatus.OK:
            raise IssuerError(f"{url} answers {answer.status}")
        return answer.body

    return ask
