"""The invariants of gateways bite: each of these mistakes is found within a few hundred histories.

A history of gateways takes ten times as long as another one, so each mistake is tried where it is found soon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.assess.observation import ProxyWorker
from reconciler.proxy.haproxy import steps
from reconciler.proxy.haproxy.gateway import looking, planning, wanted
from reconciler.proxy.haproxy.gateway.pools import assign as _assign
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from tests.simulation.gateways import GatewaySimulation
from tests.simulation.many import quietly
from tests.simulation.simulation import Figures, again, run
from tests.simulation.story import violates
from tests.simulation.test_mutations import the_old_proxy_goes_first

HISTORIES = 40
"""Of each mistake, from a seed on after which it is found soon."""

Mutate = Callable[[pytest.MonkeyPatch], None]

_empty_pool = HAProxyGateways.empty_pool


def a_pool_is_spare_at_once(patch: pytest.MonkeyPatch) -> None:
    def empty_pool(gateways: HAProxyGateways, stack: Any, request: Any) -> None:
        _empty_pool(gateways, stack, request)
        gateways._files.write_pool(stack.site, request.pool, (), None)

    patch.setattr(HAProxyGateways, "empty_pool", empty_pool)
    a_pool_is_emptied_before_the_files_are_read(patch)


def a_pool_is_emptied_before_the_files_are_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "_is_read_soon", lambda _: False)


def routes_move_before_a_haproxy_has_the_replicas(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HAProxyGateways, "_unfilled", lambda *_: iter(()))


def routes_move_before_the_file_names_replicas(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wanted, "_pool", lambda _, need, assignment, *__, **___: assignment.pools.get(need, ""))
    routes_move_before_a_haproxy_has_the_replicas(patch)


def a_damaged_file_is_read_by_a_reload(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "read_too_early", lambda *_: ())


def a_pool_that_requests_come_to_is_left_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GatewayServers, "_still_led", lambda *_: frozenset())


def routes_leave_a_pool_that_has_no_server_yet(patch: pytest.MonkeyPatch) -> None:
    _pool = wanted._pool
    patch.setattr(wanted, "_pool", lambda *given, stopped: _pool(*given, stopped=True))


def networks_are_not_joined(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "_connections", lambda *_: ())


def networks_are_not_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "_disconnections", lambda *_: ())


def slots_are_not_named(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "_slots", lambda *_: ())


def one_pool_speaks_for_all(patch: pytest.MonkeyPatch) -> None:
    def merged(needed: list[ProxyWorker], former: list[ProxyWorker]) -> ProxyWorker:
        return [*needed, *former][0]

    patch.setattr(looking, "merged", merged)


def running_haproxies_are_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "_changes", lambda *_: ())


def a_pool_that_is_left_is_given_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        wanted,
        "assign",
        lambda needs, held, busy, names: _assign(needs, dict(list(held.items())[:1]), (), names),
    )


def a_pool_is_emptied_for_those_that_answer(patch: pytest.MonkeyPatch) -> None:
    leftovers = planning._leftovers
    patch.setattr(
        planning,
        "_leftovers",
        lambda assessment, *known: leftovers(replace(assessment, silent=()), *known),
    )
    a_pool_is_emptied_before_the_files_are_read(patch)


MUTATIONS: Mapping[Mutate, int] = {
    a_pool_is_spare_at_once: 1115,
    a_pool_is_emptied_before_the_files_are_read: 9038080,
    routes_move_before_a_haproxy_has_the_replicas: 1215,
    routes_move_before_the_file_names_replicas: 1015,
    a_damaged_file_is_read_by_a_reload: 9637184,
    a_pool_that_requests_come_to_is_left_alone: 1000,
    routes_leave_a_pool_that_has_no_server_yet: 9892896,
    networks_are_not_joined: 1000,
    networks_are_not_left: 1000,
    slots_are_not_named: 1000,
    one_pool_speaks_for_all: 1060,
    running_haproxies_are_not_told: 1000,
    a_pool_that_is_left_is_given_away: 1000,
    a_pool_is_emptied_for_those_that_answer: 1115,
    the_old_proxy_goes_first: 1000,
}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__.replace("_", " "))
def test_each_is_caught(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(MUTATIONS[mutate], MUTATIONS[mutate] + HISTORIES)
    mutate(monkeypatch)
    with quietly():
        assert any(violates(live_through, seed) for seed in seeds), f"no violation in {HISTORIES} histories"


def test_without_one_there_is_none() -> None:
    with quietly():
        assert not any(violates(live_through, seed) for seed in set(MUTATIONS.values()))


def live_through(seed: int) -> Figures:
    return run(GatewaySimulation(seed), again(seed))
