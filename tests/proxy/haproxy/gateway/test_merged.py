"""Several pools as one: what the core makes of the merged worker is what has to be true of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.assess.observation import Admin, ProxyInstance, ProxyWorker, Server
from reconciler.core.assess.pool import Member, merge
from reconciler.proxy.haproxy.gateway.merged import MIXED_WEIGHT, merged

ADDRESS = "10.0.0.1:8000"
UP = Server("a", ADDRESS, Admin.READY, up=True, sessions=1, since=60.0)
DOWN = UP._replace(up=False, check="L7STS 500")
DRAINED = UP._replace(admin=Admin.DRAIN, up=False, sessions=0, since=20.0)


def worker(*servers: Server, current: bool = True) -> ProxyWorker:
    return ProxyWorker(7, current, servers)


def member(needed: Sequence[Server | None], former: Sequence[Server | None] = ()) -> Member | None:
    """What the core sees of one server; None for a pool that does not have it."""
    needs, others = ([worker(*([each] if each else [])) for each in pools] for pools in (needed, former))
    return merge([ProxyInstance("x", True, workers=(merged(needs, others),))]).get("a")


def test_a_server_that_is_up_in_all_pools_is_one_with_the_sessions_of_all() -> None:
    seen = member([UP, UP._replace(sessions=2, since=5.0)])
    assert seen is not None
    assert (seen.enabled, seen.up, seen.draining) == (True, True, False)
    assert (seen.sessions, seen.since, seen.addresses) == (3, 5.0, {ADDRESS})


def test_a_server_that_is_down_in_one_pool_is_down() -> None:
    seen = member([UP, DOWN])
    assert seen is not None
    assert (seen.enabled, seen.up, seen.check) == (True, False, "L7STS 500")


@pytest.mark.parametrize(
    ("needed", "former", "takes"),
    [
        ([DOWN], [UP], True),
        ([UP, DOWN], [], True),
        ([DOWN], [DOWN], False),
        ([DOWN], [UP._replace(weight=0)], False),
    ],
)
def test_one_that_is_not_up_in_a_new_pool_may_get_requests_by_another_one(
    needed: list[Server | None], former: list[Server | None], takes: bool
) -> None:
    seen = member(needed, former)
    assert seen is not None
    assert (seen.enabled, seen.up, seen.up_somewhere) == (True, False, takes)


@pytest.mark.parametrize("needed", [[UP._replace(check="L7OK 200"), DOWN], [DOWN, UP._replace(check="L4OK")]])
def test_what_keeps_a_server_out_is_told_and_not_what_another_pool_found(needed: list[Server | None]) -> None:
    seen = member(needed)
    assert seen is not None
    assert (seen.up, seen.check) == (False, "L7STS 500")


@pytest.mark.parametrize("needed", [[UP, None], [None, UP], [UP, DRAINED], [UP, UP, None]])
def test_one_that_is_in_some_pools_only_is_neither_in_service_nor_out(needed: list[Server | None]) -> None:
    seen = member(needed)
    assert seen is not None
    assert (seen.enabled, seen.up, seen.draining) == (False, False, False)
    # Nothing may take it for drained since long ago.
    assert seen.sessions >= 1


def test_one_that_is_drained_where_it_is_there_is_drained() -> None:
    seen = member([DRAINED, None, DRAINED._replace(sessions=2, since=3.0)])
    assert seen is not None
    assert (seen.enabled, seen.draining, seen.sessions, seen.since) == (False, True, 2, 3.0)


def test_other_addresses_in_two_pools_are_both_seen() -> None:
    seen = member([UP, UP._replace(address="10.0.0.9:8000")])
    assert seen is not None
    assert seen.addresses == {ADDRESS, "10.0.0.9:8000"}
    assert not seen.enabled


def test_other_weights_in_two_pools_are_none_that_is_wanted() -> None:
    seen = member([UP, UP._replace(weight=9)])
    assert seen is not None
    assert seen.weights == {MIXED_WEIGHT}
    assert (seen.up, seen.is_weighted) == (True, True)


def test_a_former_pool_adds_its_sessions_to_a_server_that_serves() -> None:
    seen = member([UP], [UP._replace(sessions=4)])
    assert seen is not None
    assert (seen.up, seen.sessions) == (True, 5)


def test_a_former_pool_keeps_a_server_that_leaves() -> None:
    for needed in (DRAINED, None):
        taking = member([needed], [UP])
        assert taking is not None
        assert not taking.draining
        leaving = member([needed], [DRAINED._replace(sessions=1)])
        assert leaving is not None
        assert (leaving.draining, leaving.sessions) == (True, 1)


def test_without_a_needed_pool_the_former_ones_are_seen() -> None:
    seen = member([], [DRAINED._replace(sessions=1)])
    assert seen is not None
    assert (seen.enabled, seen.draining, seen.sessions) == (False, True, 1)


def test_a_worker_that_leaves_has_the_sessions_of_all_its_pools() -> None:
    left = [DRAINED._replace(sessions=1, since=9.0), DRAINED._replace(sessions=2, since=4.0)]
    made = merged([worker(each, current=False) for each in left], [])
    assert not made.current
    (server,) = made.servers
    assert (server.admin, server.sessions, server.since) == (Admin.DRAIN, 3, 4.0)


servers = st.builds(
    Server,
    name=st.just("a"),
    address=st.sampled_from([ADDRESS, "10.0.0.2:8000"]),
    admin=st.sampled_from(Admin),
    up=st.booleans(),
    sessions=st.integers(0, 3),
    since=st.floats(0, 100),
    weight=st.sampled_from([0, 1, 9]),
)
pools = st.lists(st.none() | servers, max_size=3)


@given(pools.filter(bool), pools)
def test_nothing_is_promised_that_one_pool_does_not_keep(
    needed: list[Server | None], former: list[Server | None]
) -> None:
    seen = member(needed, former)
    there = [each for each in (*needed, *former) if each]
    if seen is None:
        assert not there
        return
    assert seen.sessions >= sum(each.sessions for each in there)
    if seen.enabled:
        assert all(each and each.admin is Admin.READY for each in needed)
    if seen.up:
        assert all(each and each.up for each in needed)
    if seen.draining:
        assert all(each.admin is Admin.DRAIN for each in there)
        assert seen.since <= min(each.since for each in there)
