"""What several processes say about a server comes to one word; the table is the one in the module's docstring."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.assess.observation import Admin, ProxyInstance, ProxyWorker, Server
from reconciler.core.assess.pool import merge


def server(
    admin: str = "ready", up: bool = True, sessions: int = 0, since: float = 60, at: str = "a:1"
) -> Server:
    return Server("web-1", at, Admin(admin), up, sessions, since)


def proxy(*workers: Sequence[Server] | None, answering: bool = True) -> ProxyInstance:
    """The first worker is the current one."""
    made = tuple(ProxyWorker(n, n == 0, tuple(servers or ())) for n, servers in enumerate(workers))
    return ProxyInstance("haproxy", answering, "s", made)


UP, DOWN, DRAINED = server(), server(up=False), server("drain", up=False)


@pytest.mark.parametrize(
    ("instances", "enabled", "up", "draining"),
    [
        ([proxy([UP])], True, True, False),
        ([proxy([DOWN])], True, False, False),
        ([proxy([DRAINED])], False, False, True),
        ([proxy([UP]), proxy([UP])], True, True, False),
        ([proxy([UP]), proxy([DOWN])], True, False, False),
        ([proxy([UP]), proxy([DRAINED])], False, False, False),
        ([proxy([UP]), proxy([])], False, False, False),
        ([proxy([DRAINED]), proxy([])], False, False, True),
        # A worker from before a reload ends what it has: it neither enables nor serves, but it may still be busy.
        ([proxy([UP], [DRAINED])], True, True, False),
        ([proxy([DRAINED], [UP])], False, False, False),
        ([proxy([], [DRAINED])], False, False, True),
        # Who does not answer serves nothing.
        ([proxy([UP]), proxy([DRAINED], answering=False)], True, True, False),
    ],
)
def test_all_have_to_agree(instances: list[ProxyInstance], enabled: bool, up: bool, draining: bool) -> None:
    member = merge(instances)["web-1"]
    assert (member.enabled, member.up, member.draining) == (enabled, up, draining)


def test_sessions_are_counted_over_all_processes() -> None:
    busy = [proxy([server(sessions=1)], [server("drain", sessions=2)]), proxy([server(sessions=4)])]
    assert merge(busy)["web-1"].sessions == 7


def test_the_last_change_counts() -> None:
    assert merge([proxy([server(since=90)]), proxy([server(since=5)])])["web-1"].since == 5


def test_addresses_that_differ_are_both_told() -> None:
    assert merge([proxy([server(at="a:1")]), proxy([server(at="b:1")])])["web-1"].addresses == {"a:1", "b:1"}


def test_nobody_answers_nobody_is_known() -> None:
    assert merge([]) == {}
    assert merge([proxy([UP], answering=False)]) == {}


servers = st.builds(
    server, st.sampled_from(["ready", "drain"]), st.booleans(), st.integers(0, 3), st.floats(0, 99)
)
proxies = st.lists(
    st.lists(st.lists(servers, max_size=1), min_size=1, max_size=3).map(lambda w: proxy(*w)), max_size=3
)


@given(proxies)
def test_no_member_is_two_things_at_once(instances: list[ProxyInstance]) -> None:
    for member in merge(instances).values():
        assert not (member.up and not member.enabled)
        assert not (member.enabled and member.draining)
        assert member.sessions >= 0


@given(proxies)
def test_the_order_of_proxies_means_nothing(instances: list[ProxyInstance]) -> None:
    assert merge(instances) == merge(instances[::-1])
