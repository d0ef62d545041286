"""Registries as clients of the API may have them asked: seldom, and not for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reconciler.api.errors import TemporaryError, VaultError

if TYPE_CHECKING:
    from reconciler.core.images.reference import Reference
    from reconciler.registry.base import Registries

__all__ = ["KEPT_SECONDS", "SPENT_SECONDS", "SeldomAsked"]

KEPT_SECONDS: Final = 120.0
"""How long an answer, or a failure, is used again."""
SPENT_SECONDS: Final = 10.0
"""After this, the registries that were not asked yet are not asked for this list."""

Value = TypeVar("Value")


class SeldomAsked:
    """A `Registries` whose answers are kept for a while. `begin` is called before each list; one thread uses it."""

    def __init__(
        self,
        registries: Callable[[], Registries],
        *,
        kept: float = KEPT_SECONDS,
        spent: float = SPENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registries = registries
        self._kept = kept
        self._spent = spent
        self._clock = clock
        self._ends = clock() + spent
        self._answers: dict[object, tuple[float, Any]] = {}

    def begin(self) -> None:
        """Registries may be asked again for a while; forget old answers."""
        now = self._clock()
        self._ends = now + self._spent
        self._answers = {key: each for key, each in self._answers.items() if now - each[0] < self._kept}

    def tags(self, image: Reference) -> tuple[str, ...]:
        """See Registries."""
        return self._ask(("tags", image.place), lambda: self._registries().tags(image))

    def digest(self, image: Reference) -> str:
        """See Registries."""
        return self._ask(("digest", image), lambda: self._registries().digest(image))

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        """See Registries."""
        return self._ask(("signed", image, *keys), lambda: self._registries().is_signed(image, keys))

    def _ask(self, key: object, ask: Callable[[], Value]) -> Value:
        if key not in self._answers:
            if self._clock() >= self._ends:
                raise TemporaryError(
                    f"was not asked, because other registries have not answered for {self._spent:g} s; ask again"
                )
            try:
                answer: Any = ask()
            except VaultError as error:
                answer = error
            self._answers[key] = (self._clock(), answer)
        found = self._answers[key][1]
        if isinstance(found, VaultError):
            raise found.with_traceback(None)
        return found  # type: ignore[no-any-return]
