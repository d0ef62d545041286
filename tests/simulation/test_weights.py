"""A strategy that weighs servers lives through histories like any other. No shipped one does: it is made here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from reconciler.core.assess.assessment import Assessment
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.strategies import STRATEGIES, Decision
from reconciler.core.plan.strategies.rolling_update import rolling_update
from reconciler.proxy.base import NewServer
from reconciler.proxy.memory import MemoryProxy
from tests.simulation.many import quietly
from tests.simulation.services import Wish
from tests.simulation.simulation import live_through
from tests.simulation.test_memory import Driver

SEEDS = range(20)


def weighing(assessment: Assessment) -> Decision:
    """New replicas have a fifth of the share of old ones until no old one is left."""
    decision = rolling_update(assessment)
    new = [replica.name for replica in assessment.replicas if replica.current]
    old = [replica.name for replica in assessment.replicas if not replica.current]
    return replace(decision, weights=dict.fromkeys(old, 5) if new else {})


def test_no_promise_is_broken_while_servers_are_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    weights: Counter[int] = Counter()
    told = MemoryProxy.set_weights

    def counted(proxy: MemoryProxy, stack: Any, slots: Any, changes: Sequence[tuple[str, int]]) -> None:
        weights.update(weight for _, weight in changes)
        told(proxy, stack, slots, changes)

    monkeypatch.setattr(MemoryProxy, "set_weights", counted)
    monkeypatch.setitem(STRATEGIES, "RollingUpdate", weighing)
    with quietly():
        for seed in SEEDS:
            live_through(seed)
    assert weights[5] > 0


def test_requests_spread_by_weight_and_a_restart_finds_it_in_the_file() -> None:
    driver = Driver(Wish("web"))
    driver.open()
    first, address = driver.serve()
    driver.create(1, existing=1)
    driver.start()
    driver.time += 5
    second = next(web.short for web in driver.seen() if web.short != first)
    other = next(f"{web.addresses[VAULT_NET]}:8000" for web in driver.seen() if web.short == second)
    driver.proxy.add_servers(driver.stack, [1], [NewServer(second, other, trusted=True)])
    driver.proxy.set_weights(driver.stack, [1], [(first, 9)])
    driver.proxy.configure(driver.stack, [(first, address), (second, other)], [(first, 9)])
    (process,) = driver.proxy.processes(driver.stack)
    random = Random(1)

    def shares() -> Counter[str]:
        return Counter(driver.proxy.request(driver.stack, process, 0.1, random.choice) for _ in range(1000))

    assert 850 < shares()[first] < 950
    driver.proxy.reload(driver.stack, 1)
    assert 850 < shares()[first] < 950
    driver.proxy.set_weights(driver.stack, [1], [(first, 0)])
    assert shares() == {second: 1000}
    driver.proxy.drain_servers(driver.stack, [1], [second])
    assert shares() == {"": 1000}
