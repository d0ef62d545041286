"""Finds out who a client is, by each way in; the answer to all others is the same 401, and the log has the reason."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from reconciler.web.kube.clients.client import Client, RefusedError, client_of
from reconciler.web.kube.clients.grants import Grants
from reconciler.web.kube.errors import unauthorized

if TYPE_CHECKING:
    from reconciler.store.tokens import Tokens
    from reconciler.web.kube.clients.oidc import Oidc

__all__ = ["LOG_SECONDS", "LOOK_SECONDS", "Clients"]

LOG_SECONDS: Final = 10.0
"""Shortest time between two lines of the log about refused credentials."""
LOOK_SECONDS: Final = 5.0
"""How soon that ends whose client is no longer let in."""

_log = logging.getLogger(__name__)


@dataclass
class Clients:
    """The ways in. Without `oidc` no token of an issuer is looked at, nor is anything of it imported."""

    tokens: Tokens
    now: Callable[[], datetime]
    grants: Grants = field(default_factory=Grants)
    oidc: Oidc | None = None
    clock: Callable[[], float] = time.monotonic
    _said_at: float = field(default=float("-inf"), init=False)
    _unsaid: int = field(default=0, init=False)

    async def identify(self, authorization: Sequence[str], certificate: bytes | None) -> Client:
        """The client of a request with these Authorization headers, on a connection with this certificate (DER).

        As in Kubernetes a certificate that is accepted counts more than a token. Raises ApiError (401).
        """
        if certificate is not None and (found := self._by_certificate(certificate)) is not None:
            return found
        scheme, _, text = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
        text = text.strip() if scheme.lower() == "bearer" else ""
        if (token := self.tokens.find(text)) is not None:
            return client_of(token)
        if self.oidc is not None and text.count(".") == 2:
            try:
                return await self.oidc.client(text, self.now())
            except RefusedError as error:
                self._say(f"a token of the OIDC issuer was refused: {error}")
            except TimeoutError:
                self._say("a token of the OIDC issuer was refused: the issuer does not answer")
        raise unauthorized()

    def is_valid(self, client: Client) -> bool:
        """Whether a client that was let in still would be: what lasts, like a watch, asks again."""
        if client.token is not None:
            return self.tokens.knows(client.token)
        return client.until is None or self.now() < client.until

    async def while_valid(self, client: Client, work: Awaitable[None]) -> bool:
        """Wait for the end of what lasts, or cancel it when its client is no longer valid; whether it ended by itself."""
        working = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({working}, timeout=LOOK_SECONDS))[0]:
                if not await to_thread.run_sync(self.is_valid, client):
                    return False
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        working.result()
        return True

    def _by_certificate(self, shown: bytes) -> Client | None:
        from reconciler.web.kube.clients.certificates import client_with

        try:
            return client_with(shown, self.tokens, self.grants, self.now())
        except RefusedError as error:
            self._say(f"a client certificate was refused: {error}")
            return None

    def _say(self, text: str) -> None:
        """Log a refusal, unless one has just been logged: each costs a client nothing."""
        now = self.clock()
        if now - self._said_at < LOG_SECONDS:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the last line)" if self._unsaid else ""
        _log.info("%s%s", text, more)
        self._said_at, self._unsaid = now, 0
