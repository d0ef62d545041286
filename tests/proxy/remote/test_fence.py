"""Each request goes through once, and only in its time."""

from __future__ import annotations

import pytest

from reconciler.proxy.remote import fence
from reconciler.proxy.remote.fence import MAX_AHEAD, Fence, StaleError


def test_an_id_is_accepted_once() -> None:
    made = Fence()
    made.admit("a", 5.0, 1.0)
    made.admit("b", 5.0, 1.0)
    with pytest.raises(StaleError, match="sent before"):
        made.admit("a", 5.0, 2.0)
    with pytest.raises(StaleError, match="sent before"):
        made.admit("a", 9.0, 2.0)


def test_one_whose_time_is_over_is_not_accepted() -> None:
    with pytest.raises(StaleError, match="too late"):
        Fence().admit("a", 5.0, 5.0)


def test_one_that_could_be_repeated_for_long_is_not_accepted() -> None:
    Fence().admit("a", MAX_AHEAD, 0.0)
    with pytest.raises(StaleError, match="another clock"):
        Fence().admit("a", MAX_AHEAD + 1, 0.0)


def test_ids_are_forgotten_when_they_can_no_longer_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "MAX_IDS", 3)
    made = Fence()
    for name in "abc":
        made.admit(name, 5.0, 1.0)
    with pytest.raises(StaleError, match="too many"):
        made.admit("d", 5.0, 1.0)
    made.admit("d", 9.0, 6.0)
    with pytest.raises(StaleError, match="sent before"):
        made.admit("d", 9.0, 6.0)
