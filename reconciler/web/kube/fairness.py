"""Bounds for each client, so that one that floods the API takes nothing from the others.

A user that is at a bound is answered 429 with Retry-After, as in Kubernetes: clients try again by themselves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from reconciler.web.connections import MAX_PER_CLIENT
from reconciler.web.kube.errors import ApiError

__all__ = ["MAX_OF_ONE", "MAX_REQUESTS", "MAX_STREAMS", "PATIENCE_SECONDS", "Streaming", "Turns"]

MAX_STREAMS: Final = 200
MAX_OF_ONE: Final = MAX_PER_CLIENT // 2
"""Each takes a connection, and other users may have the same address: on the machine of the controller all have."""
MAX_REQUESTS: Final = 16
"""Of one user at once. Answers are made in 40 threads, so one that is at its bound leaves more than half of them."""
PATIENCE_SECONDS: Final = 5.0
"""How long a request waits for its turn."""


class Streaming:
    """How much lasts, in total and of each user: watches, followed logs, commands and forwarded ports."""

    def __init__(self, most: int = MAX_STREAMS, most_of_one: int = MAX_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._users: Counter[str] = Counter()

    @contextmanager
    def one_of(self, user: str) -> Iterator[None]:
        """Count one while the block lasts. Raises ApiError (429) at a bound."""
        if self._users.total() >= self._most or self._users[user] >= self._most_of_one:
            message = (
                "too many watches are open: end others, or watch a whole resource instead of single objects"
            )
            raise _too_many(message, 5)
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]


@dataclass
class _Lane:
    turns: asyncio.Semaphore
    requests: int = field(default=0)


class Turns:
    """The requests of each user that are being answered; the others of the same user wait, in their order."""

    def __init__(self, most_of_one: int = MAX_REQUESTS, patience: float = PATIENCE_SECONDS) -> None:
        self._most_of_one = most_of_one
        self._patience = patience
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def one_of(self, user: str) -> AsyncIterator[None]:
        """Wait for a turn and keep it while the block lasts. Raises ApiError (429) when none comes in time."""
        lane = self._lanes.setdefault(user, _Lane(asyncio.Semaphore(self._most_of_one)))
        lane.requests += 1
        try:
            try:
                async with asyncio.timeout(self._patience):
                    await lane.turns.acquire()
            except TimeoutError:
                message = "too many requests of one user at once, please try again later"
                raise _too_many(message, 1) from None
            try:
                yield
            finally:
                lane.turns.release()
        finally:
            lane.requests -= 1
            if not lane.requests:
                del self._lanes[user]


def _too_many(message: str, seconds: int) -> ApiError:
    headers = {"Retry-After": str(seconds)}
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": seconds}, headers)
