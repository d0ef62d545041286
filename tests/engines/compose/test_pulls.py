"""Pulls in the background: one at a time for each image, paced, and what came of them."""

from __future__ import annotations

import threading

import pytest

from reconciler.core.assess.observation import Pull
from reconciler.engines.compose.pulls import FIRST_PAUSE, LONGEST_PAUSE, Pulls
from reconciler.engines.errors import EngineError, ImageMissingError
from tests.e2e.waiting import until


class Registry:
    """Answers when it is let go, with the error that it is told to; `time` is the clock's."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: EngineError | ImageMissingError | None = None
        self.time = 0.0
        self._go = threading.Semaphore(0)
        self.pulls = Pulls(self._pull, lambda: self.time)

    def _pull(self, image: str) -> None:
        self.asked += 1
        assert self._go.acquire(timeout=10)
        if self.error:
            raise self.error

    def answer(self) -> None:
        self._go.release()
        until("the try has ended", lambda: not (self.seen and self.seen.running))

    @property
    def seen(self) -> Pull | None:
        return self.pulls.of(["web:2"]).get("web:2")


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_one_that_is_under_way_is_not_begun_again(registry: Registry) -> None:
    assert registry.seen is None
    registry.pulls.ask("web:2")
    registry.pulls.ask("web:2")
    until("the registry was asked", lambda: registry.asked)
    assert registry.seen == Pull(running=True)
    registry.answer()
    assert registry.seen is None
    assert registry.asked == 1


def test_what_may_pass_is_tried_again_ever_more_slowly(registry: Registry) -> None:
    registry.error = EngineError("connection refused")
    pause = FIRST_PAUSE
    for attempt in range(8):
        registry.pulls.ask("web:2")
        registry.answer()
        assert registry.seen == Pull(running=False, error="connection refused", again=pause)
        registry.pulls.ask("web:2")
        assert registry.asked == attempt + 1
        registry.time += pause
        pause = min(2 * pause, LONGEST_PAUSE)


def test_the_error_of_the_try_before_is_known_while_the_next_one_runs(registry: Registry) -> None:
    registry.error = EngineError("connection refused")
    registry.pulls.ask("web:2")
    registry.answer()
    registry.time += FIRST_PAUSE
    registry.pulls.ask("web:2")
    assert registry.seen == Pull(running=True, error="connection refused")
    registry.answer()


def test_what_lasts_is_raised_until_it_is_worth_another_try(registry: Registry) -> None:
    registry.error = ImageMissingError("no such image")
    registry.pulls.ask("web:2")
    registry.answer()
    for _ in range(2):
        with pytest.raises(ImageMissingError, match="no such image"):
            registry.pulls.ask("web:2")
    assert registry.seen is not None
    assert registry.seen.lasting
    registry.time += FIRST_PAUSE
    registry.error = None
    registry.pulls.ask("web:2")
    registry.answer()
    assert registry.seen is None
