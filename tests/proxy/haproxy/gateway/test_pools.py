"""Pools are kept by their service, taken from the spare ones, and never shared."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.route import Redirect, Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import settle
from reconciler.proxy.haproxy.gateway.pools import (
    SPARES,
    Need,
    PoolKind,
    assign,
    assignment_text,
    kind_of,
    needs_of,
    pool_names,
    read_assignment,
)

A = Need("a", 0, PoolKind.HTTP)
B = Need("b", 0, PoolKind.HTTP)
NAMES = pool_names({PoolKind.HTTP: 3, PoolKind.TCP: 1})


def test_pools_are_named_by_their_kind() -> None:
    assert NAMES == ("h001", "h002", "h003", "t001")
    assert [kind_of(name) for name in pool_names(SPARES)].count(PoolKind.HTTP) == SPARES[PoolKind.HTTP]


@pytest.mark.parametrize("name", ["", "h1", "x001", "h0001", "web", "h\u0660\u0660\u0661"])
def test_another_name_is_no_pool(name: str) -> None:
    with pytest.raises(ValueError, match=r"pool|PoolKind"):
        kind_of(name)


def test_each_route_needs_a_pool_of_its_kind_and_shares_it_within_its_service() -> None:
    tcp = (
        Listener(name="ssh", port=2222, protocol="TCP"),
        Listener(name="git", port=2223, protocol="TCP"),
    )
    spec = GatewaySpec(listeners=(*GatewaySpec().listeners, *tcp))
    service = Claimant(
        "files",
        datetime(2026, 5, 1, tzinfo=UTC),
        routes=(
            Route(hostnames=("a.test",)),
            Route(hostnames=("b.test",)),
            Route(hostnames=("c.test",), sticky="cookie"),
            Route(hostnames=("d.test",), compression=True),
            Route(hostnames=("e.test",), compression=True, sticky="cookie", port=9000),
            Route(hostnames=("f.test",), redirect=Redirect(hostname="a.test")),
            Route(hostnames=("g.test",), app_protocol="kubernetes.io/h2c"),
        ),
        tcp=(TcpRoute(port=2222, target=22), TcpRoute(port=2223, target=22, send_proxy=True)),
    )
    tables, _ = settle({"main": spec}, [service])

    assert needs_of(tables["main"]) == {
        "files.0": Need("files", 0, PoolKind.HTTP),
        "files.1": Need("files", 0, PoolKind.HTTP),
        "files.2": Need("files", 0, PoolKind.STICKY),
        "files.3": Need("files", 0, PoolKind.COMPRESSED),
        "files.4": Need("files", 9000, PoolKind.STICKY_COMPRESSED),
        "files.6": Need("files", 0, PoolKind.H2C),
        "files.tcp0": Need("files", 22, PoolKind.TCP),
        "files.tcp1": Need("files", 22, PoolKind.TCP_PROXY),
    }


def test_the_first_free_pool_is_taken() -> None:
    assert assign([B, A], {}, (), NAMES).pools == {A: "h001", B: "h002"}


def test_a_service_keeps_its_pool() -> None:
    assert assign([A, B], {B: "h001"}, (), NAMES).pools == {A: "h002", B: "h001"}


def test_a_pool_with_servers_is_not_given_to_another_service() -> None:
    assert assign([B], {A: "h001"}, {"h001"}, NAMES).pools == {A: "h001", B: "h002"}
    assert assign([B], {}, {"h001"}, NAMES).pools == {B: "h002"}


def test_an_empty_pool_that_is_no_longer_needed_is_free_again() -> None:
    assert assign([B], {A: "h001"}, (), NAMES).pools == {B: "h001"}


def test_needs_without_a_pool_are_named() -> None:
    needs = [Need(name, 0, PoolKind.TCP) for name in "ab"]
    assigned = assign(needs, {}, (), NAMES)

    assert assigned.pools == {needs[0]: "t001"}
    assert assigned.missing == (needs[1],)


@given(
    st.dictionaries(st.sampled_from([A, B, Need("files-1", 9000, PoolKind.HTTP)]), st.sampled_from(NAMES[:3]))
)
def test_an_assignment_is_read_back(held: dict[Need, str]) -> None:
    unique = {need: pool for need, pool in held.items() if list(held.values()).count(pool) == 1}

    assert read_assignment(assignment_text(unique)) == unique


@pytest.mark.parametrize(
    "line", ["", "x001 a 0", "h001 a", "h001 a 0 more", "h001 A 0", "h001 a -1", "h001 a 00"]
)
def test_a_line_that_is_none_of_an_assignment_is_left_out(line: str) -> None:
    assert read_assignment(f"{line}\nh002 b 0\n") == {B: "h002"}


def test_no_pool_is_read_for_two_services_and_no_service_has_two_pools() -> None:
    assert read_assignment("h001 a 0\nh001 b 0\nh002 a 0\n") == {A: "h001"}


needs = st.builds(
    Need, st.sampled_from("abcde"), st.sampled_from([0, 80]), st.sampled_from([PoolKind.HTTP, PoolKind.TCP])
)


@given(st.lists(st.tuples(st.sets(needs), st.sets(st.sampled_from(NAMES))), max_size=6))
def test_over_any_history_no_pool_has_two_holders_and_no_holder_loses_its_pool(
    history: list[tuple[set[Need], set[str]]],
) -> None:
    held: dict[Need, str] = {}
    for wanted, busy in history:
        assigned = assign(wanted, held, busy, NAMES)
        pools = dict(assigned.pools)
        assert len(set(pools.values())) == len(pools)
        assert all(kind_of(pool) is need.kind for need, pool in pools.items())
        assert wanted == {need for need in pools if need in wanted} | set(assigned.missing)
        assert {need: pools[need] for need in held if need in wanted} == {
            need: pool for need, pool in held.items() if need in wanted
        }
        assert not {pool for need, pool in pools.items() if need not in held} & busy
        held = pools
