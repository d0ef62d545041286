"""A kind that follows another one is due for a pass when that changes, and each object is woken by its own events."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Ref
from reconciler.api.vaultgateway import VaultGateway
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.following import SourceOptions
from reconciler.controller.loop.manager import Controller
from reconciler.controller.loop.workers import Reconciler
from reconciler.controller.reconcile.result import Result
from tests.controller.loop.test_manager import PATIENCE, SERVICE, Running, wait_for
from tests.controller.worlds import MemoryWorld
from tests.simulation.stores import ORIGIN

MAIN = Ref(VAULT_GATEWAY, "main")


class Passes:
    """Stands in for the pass of gateways: counts what it was asked for, and answers what it is told to."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.result = Result(converged=True)

    def __call__(self, name: str) -> Result:
        self.names.append(name)
        return self.result


@pytest.fixture
def memory() -> MemoryWorld:
    made = MemoryWorld(real=True)
    made.objects.of(VAULT_GATEWAY).apply(VaultGateway.model_validate({"metadata": {"name": "main"}}), ORIGIN)
    return made


@pytest.fixture
def passes() -> Passes:
    return Passes()


def make(memory: MemoryWorld, state: Path, passes: Passes) -> Controller:
    objects, records = memory.objects.of(VAULT_GATEWAY), memory.records.of(VAULT_GATEWAY)
    return Controller(
        memory.world,
        state,
        memory.recorder,
        Backoff(random.Random(1)),
        following=SourceOptions(),
        workers=1,
        # No pass of these tests is one of the resync.
        resync=1000.0,
        others=[Reconciler(VAULT_GATEWAY, objects, records, passes, (VAULT_SERVICE,))],
    )


@pytest.fixture
def running(memory: MemoryWorld, tmp_path: Path, passes: Passes) -> Iterator[Controller]:
    controller = make(memory, tmp_path, passes)
    with Running(controller):
        wait_for(lambda: bool(passes.names))
        yield controller


def test_a_pass_that_changed_something_wakes_those_that_follow(
    memory: MemoryWorld, running: Controller, passes: Passes
) -> None:
    before = len(passes.names)
    memory.wish(replicas=1)
    running.wake(SERVICE)
    wait_for(lambda: len(passes.names) > before)


def test_an_apply_without_a_controller_wakes_those_that_follow(
    memory: MemoryWorld, tmp_path: Path, passes: Passes
) -> None:
    memory.wish(replicas=1)
    make(memory, tmp_path, passes).converge([SERVICE], PATIENCE)
    assert set(passes.names) == {"main"}


def test_a_pass_wakes_the_objects_that_it_names(
    memory: MemoryWorld, running: Controller, passes: Passes
) -> None:
    passes.result = Result(converged=True, wakes=(SERVICE,))
    memory.wish(replicas=1)
    running.wake(MAIN)
    wait_for(lambda: bool(memory.web()))


@pytest.mark.parametrize(
    ("label", "woken"), [("vaultgateway/main", True), ("main", False), ("vaultgateway/other", False)]
)
def test_an_event_wakes_the_object_with_its_label(
    memory: MemoryWorld,
    tmp_path: Path,
    passes: Passes,
    monkeypatch: pytest.MonkeyPatch,
    label: str,
    woken: bool,
) -> None:
    heard = threading.Event()
    known = memory.proxy.events

    def events() -> Iterator[str]:
        heard.wait(PATIENCE)
        yield label
        yield from known()

    monkeypatch.setattr(memory.proxy, "events", events)
    controller = make(memory, tmp_path, passes)
    with Running(controller):
        wait_for(lambda: bool(passes.names))
        # The passes of the beginning: one for each directory of objects that is watched, and one of the run itself.
        wait_for(lambda: all(each.depth == each.active_workers == 0 for each in controller.queues()))
        added = _adds(memory)
        heard.set()
        if woken:
            wait_for(lambda: _adds(memory) > added)
        else:
            running = Ref(VAULT_GATEWAY, "main")
            controller.wake(running)
            wait_for(lambda: _adds(memory) > added)
            assert _adds(memory) == added + 1


def _adds(memory: MemoryWorld) -> float:
    """How often a gateway was queued."""
    for metric in memory.recorder.collect():
        for sample in metric.samples:
            if sample.name == "workqueue_adds_total" and sample.labels.get("name") == "vaultgateway":
                return float(sample.value)
    raise AssertionError("no such series")
