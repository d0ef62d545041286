"""The invariants of gateways bite: each of these mistakes is found within a few hundred histories."""

from __future__ import annotations

from collections.abc import Callable
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
from tests.simulation.simulation import run
from tests.simulation.story import Violation
from tests.simulation.test_mutations import the_old_proxy_goes_first

SEEDS = range(1000, 1400)

Mutate = Callable[[pytest.MonkeyPatch], None]

_empty_pool = HAProxyGateways.empty_pool


def a_pool_is_spare_at_once(patch: pytest.MonkeyPatch) -> None:
    def empty_pool(gateways: HAProxyGateways, stack: Any, request: Any) -> None:
        _empty_pool(gateways, stack, request)
        gateways._files.write_pool(stack.site, request.pool, (), None)

    patch.setattr(HAProxyGateways, "empty_pool", empty_pool)


def routes_move_before_a_haproxy_has_the_replicas(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HAProxyGateways, "_unfilled", lambda *_: iter(()))


def routes_move_before_the_file_names_replicas(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wanted, "_pool", lambda former, pool, *_: pool)
    routes_move_before_a_haproxy_has_the_replicas(patch)


def a_pool_is_emptied_while_requests_come(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "led_by", lambda maps: frozenset())


def a_pool_that_requests_come_to_is_left_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GatewayServers, "_still_led", lambda *_: frozenset())


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


def a_slow_haproxy_is_dead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps._Proxies, "_serves", lambda *_: False)


MUTATIONS: tuple[Mutate, ...] = (
    a_pool_is_spare_at_once,
    routes_move_before_a_haproxy_has_the_replicas,
    routes_move_before_the_file_names_replicas,
    a_pool_is_emptied_while_requests_come,
    a_pool_that_requests_come_to_is_left_alone,
    networks_are_not_joined,
    networks_are_not_left,
    slots_are_not_named,
    one_pool_speaks_for_all,
    running_haproxies_are_not_told,
    a_pool_that_is_left_is_given_away,
    a_pool_is_emptied_for_those_that_answer,
    the_old_proxy_goes_first,
    a_slow_haproxy_is_dead,
)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__.replace("_", " "))
def test_each_is_caught(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with quietly():
        for seed in SEEDS:
            if violates(seed):
                return
    pytest.fail(f"{len(SEEDS)} histories went by and nobody noticed")


def violates(seed: int) -> bool:
    try:
        run(GatewaySimulation(seed), seed)
    except Violation:
        return True
    return False
