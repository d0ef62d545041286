"""What a drained node still has."""

from __future__ import annotations

import pytest

from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed, remaining

WEB = Placed("web-1", "shop", Role.WEB, "n2")
DATABASE = Placed("db-1", "shop", Role.DEPENDENCY, "n2", pinned=True)
CACHE = Placed("cache-1", "shop", Role.DEPENDENCY, "n2")
JOB = Placed("migrate-1", "shop", Role.JOB, "n2")
PROXY = Placed("haproxy-1", "shop", Role.PROXY, "n2", pinned=True)


def test_instances_are_told_apart_by_what_becomes_of_them() -> None:
    elsewhere = Placed("web-2", "shop", Role.WEB, "n1")
    ended = Placed("web-3", "shop", Role.WEB, "n2", is_up=False)
    found = remaining("n2", [WEB, elsewhere, DATABASE, JOB, PROXY, ended, CACHE])
    assert (found.moving, found.pinned, found.jobs) == ((CACHE, WEB), (DATABASE,), (JOB,))


@pytest.mark.parametrize(
    ("placed", "stops_pinned", "free"),
    [
        ([], False, True),
        ([PROXY], False, True),
        ([WEB], True, False),
        ([CACHE], False, False),
        ([JOB], True, False),
        ([DATABASE], False, False),
        ([DATABASE], True, True),
    ],
)
def test_the_engine_may_end_only_what_it_is_asked_to(
    placed: list[Placed], stops_pinned: bool, free: bool
) -> None:
    assert remaining("n2", placed).is_free(stops_pinned=stops_pinned) is free
