"""Clients cannot have a registry asked more often, or for longer, than it is promised."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.app.cluster.registries import SeldomAsked
from reconciler.core.images.reference import Reference, read_reference

KEYS = ("a key",)


class Slow:
    """Registries of which each answer takes 4 seconds; one of them fails."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []

    def clock(self) -> float:
        return self.now

    def _ask(self, what: str, image: Reference) -> None:
        self.asked.append(f"{what} {image}")
        self.now += 4.0
        if image.registry == "away.test":
            raise PermanentError("away.test cannot be reached")

    def tags(self, image: Reference) -> tuple[str, ...]:
        self._ask("tags", image)
        return ("1",)

    def digest(self, image: Reference) -> str:
        self._ask("digest", image)
        return "sha256:1"

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        self._ask("signed", image)
        return True


def image(text: str) -> Reference:
    found = read_reference(text)
    assert found is not None
    return found


def test_answers_and_failures_are_kept_for_a_while() -> None:
    slow = Slow()
    seldom = SeldomAsked(lambda: slow, kept=60.0, spent=20.0, clock=slow.clock)
    app, away = image("r.test/app:1"), image("away.test/app:1")
    for _ in range(3):
        seldom.begin()
        assert seldom.tags(app) == ("1",)
        assert seldom.tags(image("r.test/app:2")) == ("1",)
        assert seldom.digest(app) == "sha256:1"
        assert seldom.is_signed(app, KEYS)
        with pytest.raises(PermanentError, match="cannot be reached"):
            seldom.digest(away)
    assert len(slow.asked) == 4
    slow.now += 60.0
    seldom.begin()
    assert seldom.tags(app) == ("1",)
    assert len(slow.asked) == 5


def test_a_list_does_not_wait_for_many_slow_registries() -> None:
    slow = Slow()
    seldom = SeldomAsked(lambda: slow, kept=60.0, spent=10.0, clock=slow.clock)
    images = [image(f"r{number}.test/app:1") for number in range(5)]

    seldom.begin()
    assert [seldom.digest(each) for each in images[:3]] == ["sha256:1"] * 3
    for each in images[3:]:
        with pytest.raises(TemporaryError, match="other registries have not answered for 10 s; ask again"):
            seldom.digest(each)
    # The next list goes on where this one has ended.
    seldom.begin()
    assert [seldom.digest(each) for each in images] == ["sha256:1"] * 5
    assert len(slow.asked) == 5
