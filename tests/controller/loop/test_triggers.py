"""What wakes the loop, on real files."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path

import pytest

from reconciler.controller.loop import triggers
from reconciler.store.base import BELL

PATIENCE = 60.0


def test_a_bell_wakes_everything_and_nothing_else_does(tmp_path: Path) -> None:
    services = tmp_path / "services"
    woken, stop = threading.Semaphore(0), threading.Event()
    watch = threading.Thread(target=triggers.watch_objects, args=(services, woken.release, stop), daemon=True)
    watch.start()
    assert woken.acquire(timeout=PATIENCE), "everything is woken once when the watch is up"
    (services / "files").mkdir()
    (services / "other").touch()
    assert not woken.acquire(timeout=0.5)
    for _ in range(3):
        (services / BELL).touch()
        assert woken.acquire(timeout=PATIENCE)
        # The watch tells apart what is further apart than its debounce.
        time.sleep(0.2)
        while woken.acquire(blocking=False):
            pass
    stop.set()
    watch.join(PATIENCE)
    assert not watch.is_alive()


def test_the_resync_wakes_until_it_is_told_to_stop() -> None:
    woken, stop = threading.Semaphore(0), threading.Event()
    thread = threading.Thread(target=triggers.resync, args=(woken.release, 0.01, stop))
    thread.start()
    assert woken.acquire(timeout=PATIENCE)
    assert woken.acquire(timeout=PATIENCE)
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_the_resync_of_a_controller_wakes_one_after_the_other() -> None:
    woken: queue.SimpleQueue[str] = queue.SimpleQueue()
    names, stop = ["b", "a", "c"], threading.Event()
    thread = threading.Thread(target=triggers.resync_each, args=(lambda: tuple(names), woken.put, 0.03, stop))
    thread.start()
    assert [woken.get(timeout=PATIENCE) for _ in range(4)] == ["a", "b", "c", "a"]
    names.remove("b")
    names.append("d")
    found = [woken.get(timeout=PATIENCE) for _ in range(9)]
    assert "acdacd" in "".join(found)
    names.clear()
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize(("count", "pause"), [(0, 60.0), (1, 60.0), (10, 6.0), (12, 5.0), (1000, 5.0)])
def test_a_resync_of_many_takes_longer_and_costs_no_more(count: int, pause: float) -> None:
    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return True

    pauses: list[float | None] = []
    names = tuple(f"s{number}" for number in range(count))
    triggers.resync_each(lambda: names, lambda name: None, 60.0, Stop())
    assert pauses == [pause]


def test_a_changed_plugin_wakes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "PLUGIN_LOOK_SECONDS", 0.01)
    woken, stop, looks = threading.Semaphore(0), threading.Event(), iter([1, 1, 2])
    thread = threading.Thread(
        target=triggers.watch_plugins, args=(lambda: next(looks, 2), woken.release, stop), daemon=True
    )
    thread.start()
    assert woken.acquire(timeout=PATIENCE)
    assert not woken.acquire(timeout=0.1)
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_files_that_are_replaced_made_or_removed_are_noticed(tmp_path: Path) -> None:
    below, changed, stop = tmp_path / "below", threading.Semaphore(0), threading.Event()

    def directories() -> list[Path]:
        return [each for each in (tmp_path, below) if each.is_dir()]

    watch = threading.Thread(
        target=triggers.watch_files, args=(directories, changed.release, stop), daemon=True
    )
    watch.start()
    try:
        # Until it listens, and then for a directory that was not there before.
        for each in (below, below / "one"):
            each.mkdir()
            assert changed.acquire(timeout=PATIENCE)
        (below / "two").touch()
        assert changed.acquire(timeout=PATIENCE)
        (below / "two").unlink()
        assert changed.acquire(timeout=PATIENCE)
    finally:
        stop.set()
        watch.join(PATIENCE)
    assert not watch.is_alive()
