"""An engine that starts what it creates: the same passes come to the same, without starting anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.core.assess.capabilities import EngineCapabilities
from reconciler.core.assess.observation import State
from tests.controller.worlds import MemoryWorld

STARTS = EngineCapabilities(creates_stopped=False)


@pytest.fixture
def memory() -> MemoryWorld:
    return MemoryWorld(capabilities=STARTS)


def _passes(memory: MemoryWorld) -> Iterator[str]:
    """What each pass does until one finds nothing to do."""
    for _ in range(300):
        result = memory.once()
        yield result.did
        if result.converged:
            return
        memory.time += 0.5
    raise AssertionError("not converged")


@pytest.mark.parametrize(
    "fields", [{}, {"plugin": "plain"}, {"plugin": "stateful"}, {"strategy": "Recreate"}, {"proxies": 2}]
)
def test_nothing_is_started_after_it_was_created(fields: dict[str, Any], memory: MemoryWorld) -> None:
    for version in ("1", "2"):
        stack = memory.wish(version=version, **fields)
        did = "\n".join(_passes(memory))
        assert "] create " in did
        assert "] start " not in did
        running = [c for c in memory.machine.of(stack.project) if c.state is State.RUNNING]
        assert {c.workload: c.revision for c in running} == {
            workload.name: workload.revision for workload in stack.workloads if not workload.one_shot
        }


def test_web_replicas_are_not_created_before_what_they_need_is_ready(memory: MemoryWorld) -> None:
    """Where they are created stopped, they are there already."""
    usual = MemoryWorld()
    for world in (memory, usual):
        world.wish(plugin="stateful")
    firsts = [next(_passes(world)) for world in (memory, usual)]
    assert ["create 3 × web" in first for first in firsts] == [False, True]


def test_a_pass_that_finds_something_dead_starts_it_all_the_same(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful")
    list(_passes(memory))
    (database,) = (c for c in memory.machine.containers.values() if c.workload == "database")
    memory.machine.kill(database, by_hand=True)
    assert "] start " in "\n".join(_passes(memory))
    assert database.state is State.RUNNING
