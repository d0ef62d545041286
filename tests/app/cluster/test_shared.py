"""What costs much is found once for all who ask, and to wait for it has an end."""

from __future__ import annotations

import threading

import pytest

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.app.cluster.shared import Shared


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_is_found_again_when_it_is_old() -> None:
    clock, asked = Clock(), list[float]()

    def find() -> int:
        asked.append(clock.now)
        # What takes longer than it is fresh is fresh from its end.
        clock.now += 7.0
        return len(asked)

    shared = Shared(find, 5.0, clock=clock)
    assert [shared.get(), shared.get()] == [1, 1]
    clock.now += 4.9
    assert shared.get() == 1
    clock.now += 0.1
    assert shared.get() == 2


def test_a_failure_is_told_to_all_as_well() -> None:
    clock, asked = Clock(), list[int]()

    def find() -> int:
        asked.append(1)
        raise PermanentError("it is broken")

    shared = Shared(find, 5.0, clock=clock)
    for _ in range(3):
        with pytest.raises(PermanentError, match="it is broken"):
            shared.get()
    assert len(asked) == 1


def test_many_at_once_ask_once() -> None:
    asked, go = list[int](), threading.Event()

    def find() -> str:
        asked.append(1)
        assert go.wait(30)
        return "found"

    shared = Shared(find, 60.0)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(shared.get()), daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert answers == ["found"] * 8
    assert len(asked) == 1


def test_to_wait_for_another_has_an_end() -> None:
    go, begun = threading.Event(), threading.Event()

    def find() -> str:
        begun.set()
        assert go.wait(30)
        return "found"

    shared = Shared(find, 60.0, patience=0.01)
    first = threading.Thread(target=shared.get, daemon=True)
    first.start()
    assert begun.wait(30)
    with pytest.raises(TemporaryError, match="ask again"):
        shared.get()
    go.set()
    first.join(30)
    assert shared.get() == "found"
