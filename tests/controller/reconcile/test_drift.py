"""`spec.drift`: what somebody else changed is healed, told or left, and a change of the spec is carried out in any case."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.api import VaultService, find_condition
from reconciler.controller.reconcile.service import reconcile
from tests.controller.worlds import MemoryWorld
from tests.simulation.services import NAME, Wish
from tests.simulation.stores import ORIGIN


def _apply(memory: MemoryWorld, replicas: int = 3, **spec: Any) -> None:
    service = Wish(plugin="web", replicas=replicas).service()
    memory.objects.apply(_with(service, spec), ORIGIN)


def _with(service: VaultService, spec: dict[str, Any]) -> VaultService:
    return service.model_copy(update={"spec": service.spec.model_copy(update=spec)})


def _lose_a_replica(memory: MemoryWorld) -> None:
    memory.machine.remove(memory.web()[0])


def _ready(memory: MemoryWorld) -> tuple[str, str]:
    ready = find_condition(memory.objects.status(NAME).conditions, "Ready")
    assert ready is not None
    return ready.status, ready.reason


@pytest.mark.parametrize(
    ("spec", "ready"),
    [
        ({"drift": "warn"}, ("False", "Drifted")),
        ({"drift": "warn", "drift_ignore": ("outdated/*",)}, ("False", "Drifted")),
        ({"drift": "warn", "drift_ignore": ("missing/*", "proxy/*")}, ("True", "Serving")),
        ({"drift": "ignore"}, ("True", "Serving")),
    ],
)
def test_what_somebody_else_changed_is_left(
    spec: dict[str, Any], ready: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryWorld()
    told: list[str] = []
    monkeypatch.setattr(memory.records, "record_event", lambda *event, **more: told.append(event[2]))
    _apply(memory, **spec)
    memory.converge()
    _lose_a_replica(memory)
    for _ in range(3):
        assert reconcile(NAME, memory.world).did == ""
        memory.time += 0.5
    assert len(memory.web()) == 2
    assert _ready(memory) == ready
    assert ("Drifted" in told) is (ready[1] == "Drifted")


def test_a_change_is_carried_out_all_the_same() -> None:
    memory = MemoryWorld()
    _apply(memory, drift="warn")
    memory.converge()
    _lose_a_replica(memory)
    reconcile(NAME, memory.world)
    _apply(memory, replicas=4, drift="warn")
    memory.converge()
    assert len(memory.web()) == 4


@pytest.mark.parametrize("drift", ["warn", "ignore"])
def test_one_that_is_evicted_is_replaced_all_the_same(drift: str) -> None:
    memory = MemoryWorld()
    memory.wish(drift=drift)
    memory.converge()
    evicted = memory.web()[0].id
    memory.objects.request_eviction(NAME, evicted, [each.id for each in memory.web()], memory.now())
    for _ in range(60):
        memory.time += 0.5
        memory.once()
    assert len(memory.web()) == 3
    assert evicted not in {container.id for container in memory.web()}


@pytest.mark.parametrize("drift", ["warn", "ignore"])
def test_all_are_replaced_at_the_time_for_which_that_was_asked(drift: str) -> None:
    memory = MemoryWorld()
    memory.wish(drift=drift, rotated=memory.now() + timedelta(seconds=60))
    memory.converge()
    before = {container.id for container in memory.web()}
    for _ in range(240):
        memory.time += 0.5
        memory.once()
    assert (len(memory.web()), before & {container.id for container in memory.web()}) == (3, set())


def test_by_default_it_is_healed() -> None:
    memory = MemoryWorld()
    _apply(memory)
    memory.converge()
    _lose_a_replica(memory)
    memory.converge()
    assert len(memory.web()) == 3
