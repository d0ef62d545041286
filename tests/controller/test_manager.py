"""The threads around the queue, over a world in memory and in real time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.controller.backoff import Backoff
from reconciler.controller.following import Following
from reconciler.controller.lease import LeaseTakenError, lease
from reconciler.controller.manager import Controller, Progress
from reconciler.engines.errors import EngineError
from tests.controller.worlds import MemoryWorld
from tests.simulation.services import NAME

PATIENCE = 60.0


@pytest.fixture
def memory() -> MemoryWorld:
    return MemoryWorld(real=True)


@pytest.fixture
def controller(memory: MemoryWorld, tmp_path: Path) -> Controller:
    return make(memory, tmp_path)


def make(
    memory: MemoryWorld, state: Path, on_progress: Callable[[Progress], None] | None = None
) -> Controller:
    return Controller(
        memory.world,
        state,
        memory.recorder,
        Backoff(random.Random(1)),
        following=Following(),
        workers=2,
        resync=1.0,
        on_progress=on_progress,
    )


def wait_for(truth: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Running:
    """A controller in a thread of its own, as `vaultctl run` has it."""

    def __init__(self, controller: Controller) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=controller.run, args=(self._stop,))

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def serving(memory: MemoryWorld) -> int:
    return memory.objects.status(NAME).replicas.serving


def test_converge_comes_back_when_all_is_done(memory: MemoryWorld, tmp_path: Path) -> None:
    told: list[Progress] = []
    memory.wish(replicas=2)
    outcome = make(memory, tmp_path, told.append).converge([NAME], PATIENCE)[NAME]
    assert (outcome.ready, outcome.reason) == (True, "Serving")
    assert told[-1].replicas.serving == 2
    assert any("create 2 × web" in progress.did for progress in told)


def test_converge_does_not_wait_for_ever(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(version="never-ready")
    outcome = controller.converge([NAME], 1.0)[NAME]
    assert (outcome.ready, outcome.reason) == (False, "Timeout")
    assert "not Ready after 1 s" in outcome.message


def test_converge_says_what_nobody_can_help(memory: MemoryWorld, controller: Controller) -> None:
    memory.engine.missing_images.add("web:1")
    memory.engine.unpullable.add("web:1")
    memory.wish()
    outcome = controller.converge([NAME], PATIENCE)[NAME]
    assert (outcome.ready, outcome.reason) == (False, "ImageMissing")


def test_what_breaks_is_healed_without_a_command(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(replicas=2)
    with Running(controller):
        wait_for(lambda: serving(memory) == 2)
        victim = memory.web()[0]
        memory.machine.kill(victim, by_hand=True)
        wait_for(lambda: victim not in memory.web() and serving(memory) == 2)


def test_it_stops_and_what_runs_goes_on(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(replicas=1)
    with Running(controller):
        wait_for(lambda: serving(memory) == 1)
        assert controller.is_live
        assert controller.is_loaded
    assert not controller.is_live
    assert all(c.is_up for c in memory.web())


def test_an_engine_that_is_away_for_a_moment_is_waited_for(
    memory: MemoryWorld, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EngineError("it is away")

    memory.wish(replicas=1)
    with Running(controller):
        with monkeypatch.context() as patch:
            patch.setattr(memory.engine, "observe", fail)
            time.sleep(0.5)
        wait_for(lambda: serving(memory) == 1)


def test_a_defect_in_a_pass_stops_nobody(
    memory: MemoryWorld, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    memory.wish(replicas=1)
    with Running(controller):
        with monkeypatch.context() as patch:
            patch.setattr(memory.engine, "observe", fail)
            wait_for(lambda: memory.objects.status(NAME).observed_generation == 0)
            time.sleep(0.5)
        assert controller.is_live
        wait_for(lambda: serving(memory) == 1)


def test_a_service_that_somebody_else_works_on_waits(
    memory: MemoryWorld, controller: Controller, tmp_path: Path
) -> None:
    memory.wish(replicas=1)
    with Running(controller):
        with lease(tmp_path / "services" / NAME / "lock"):
            time.sleep(0.7)
            before = len(memory.machine.containers)
            time.sleep(0.7)
            assert len(memory.machine.containers) == before
        wait_for(lambda: serving(memory) == 1)


def test_two_controllers_do_not_share_a_state_directory(controller: Controller, tmp_path: Path) -> None:
    with lease(tmp_path / "controller.lock"), pytest.raises(LeaseTakenError):
        controller.run(threading.Event())


def test_a_deleted_service_is_torn_down(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(replicas=1)
    with Running(controller):
        wait_for(lambda: serving(memory) == 1)
        memory.objects.request_deletion(NAME, False, memory.now())
        controller.wake(NAME)
        wait_for(lambda: not memory.machine.containers)
    assert memory.objects.names() == ()


def test_queues_tell_what_goes_on(memory: MemoryWorld, controller: Controller) -> None:
    with Running(controller):
        wait_for(lambda: controller.is_live)
        (queue,) = controller.queues()
    assert (queue.workers, queue.name) == (2, "vaultservice")
