"""Nothing twice, nothing lost, no key with two workers: first rule by rule, then with threads that do what they like."""

from __future__ import annotations

import random
import threading
import time
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.controller.loop.workqueue import WorkQueue


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock)


def test_keys_come_in_the_order_in_which_they_were_added(queue: WorkQueue) -> None:
    for key in "cab":
        queue.add(key)
    assert [queue.get(0), queue.get(0), queue.get(0), queue.get(0)] == ["c", "a", "b", None]


def test_a_key_that_waits_is_the_same_key(queue: WorkQueue) -> None:
    assert queue.add("a")
    assert not queue.add("a")
    assert queue.depth == 1


def test_a_key_that_is_worked_on_comes_again_and_not_before(queue: WorkQueue) -> None:
    queue.add("a")
    assert queue.get(0) == "a"
    assert queue.add("a")
    assert not queue.add("a")
    assert queue.get(0) is None
    queue.done("a")
    assert queue.get(0) == "a"
    queue.done("a")
    assert queue.get(0) is None


def test_a_delayed_key_comes_when_it_is_due(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 5)
    assert queue.get(0) is None
    clock.now = 5
    assert queue.get(0) == "a"


def test_the_sooner_of_two_delays_counts(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 5)
    queue.add_after("a", 2)
    queue.add_after("a", 9)
    clock.now = 2
    assert queue.get(0) == "a"
    queue.done("a")
    clock.now = 20
    assert queue.get(0) is None


def test_a_key_that_is_added_does_not_come_again_for_its_delay(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 5)
    queue.add("a")
    assert queue.get(0) == "a"
    queue.done("a")
    clock.now = 9
    assert queue.get(0) is None


def test_a_delay_that_ends_while_the_key_is_worked_on_is_not_lost(queue: WorkQueue, clock: Clock) -> None:
    queue.add("a")
    queue.get(0)
    queue.add_after("a", 1)
    clock.now = 1
    assert queue.get(0) is None
    queue.done("a")
    assert queue.get(0) == "a"


def test_delays_that_are_replaced_take_no_memory(queue: WorkQueue, clock: Clock) -> None:
    """One that is due in a week is set anew by each pass, while another key is due sooner and so comes first."""
    week = 7 * 86400.0
    queue.add_after("sooner", week / 2)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            clock.now += 1
            queue.add("a")
            queue.done(queue.get(0) or "")
            queue.add_after("a", week)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 500_000
    clock.now = week / 2
    assert [queue.get(0), queue.get(0)] == ["sooner", None]
    clock.now = week + 20_000
    assert queue.get(0) == "a"


def test_a_closed_queue_hands_out_nothing(queue: WorkQueue) -> None:
    queue.add("a")
    queue.close()
    assert queue.get() is None
    assert not queue.add("b")


def test_who_waits_is_told_that_it_was_closed() -> None:
    queue = WorkQueue()
    got: list[str | None] = []
    workers = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join(60)
    assert got == [None, None, None]


def test_it_says_how_long_keys_waited_and_are_worked_on(clock: Clock) -> None:
    waited: list[float] = []
    queue = WorkQueue(clock, waited.append)
    queue.add("a")
    clock.now = 3
    queue.get(0)
    clock.now = 7
    assert waited == [3.0]
    assert queue.working_seconds() == (4.0,)
    queue.done("a")
    assert queue.working_seconds() == ()


def test_an_idle_worker_wakes_for_a_delay_that_was_set_while_it_slept() -> None:
    queue = WorkQueue()
    got: list[str | None] = []
    worker = threading.Thread(target=lambda: got.append(queue.get()))
    worker.start()
    queue.add_after("a", 0.05)
    worker.join(60)
    assert got == ["a"]


steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from("abc")),
    st.tuples(st.just("later"), st.sampled_from("abc")),
    st.tuples(st.just("get"), st.none()),
    st.tuples(st.just("done"), st.sampled_from("abc")),
    st.tuples(st.just("time"), st.none()),
)


@given(st.lists(steps, max_size=60))
def test_whatever_happens_every_wish_is_followed_by_work(made: list[tuple[str, str | None]]) -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    wanted: set[str] = set()
    working: set[str] = set()
    wishes: Counter[str] = Counter()
    for what, key in made:
        if what in ("add", "later") and key:
            wanted.add(key)
            wishes[key] += 1
        if what == "add" and key:
            queue.add(key)
        elif what == "later" and key:
            queue.add_after(key, 2)
        elif what == "time":
            clock.now += 1
        elif what == "done" and key in working:
            queue.done(key)
            working.discard(key)
        elif what == "get" and (found := queue.get(0)):
            assert found not in working
            assert wishes[found] > 0, "nobody asked for that"
            wishes[found] -= 1
            working.add(found)
            wanted.discard(found)
    clock.now += 2
    while wanted or working:
        for key in tuple(working):
            queue.done(key)
            working.discard(key)
        found = queue.get(0)
        if found is None:
            break
        working.add(found)
        wanted.discard(found)
    assert not wanted


def test_threads_that_do_what_they_like() -> None:
    """Every change that was made before a key was taken is seen by whoever takes it; nobody takes one that is taken."""
    queue = WorkQueue()
    changed: Counter[str] = Counter()
    seen: dict[str, int] = {}
    taken: set[str] = set()
    guard = threading.Lock()
    clashes: list[str] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while (key := queue.get()) is not None:
            with guard:
                if key in taken:
                    clashes.append(key)
                taken.add(key)
                seen[key] = changed[key]
            time.sleep(chance.random() / 5000)
            with guard:
                taken.discard(key)
            queue.done(key)
            if chance.random() < 0.2:
                queue.add_after(key, chance.random() / 1000)

    def want(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(500):
            key = chance.choice("abcdef")
            with guard:
                changed[key] += 1
            queue.add(key)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    wishers = [threading.Thread(target=want, args=(n,)) for n in range(4)]
    for thread in (*workers, *wishers):
        thread.start()
    for thread in wishers:
        thread.join(60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(seen.get(key) != count for key, count in changed.items()):
        time.sleep(0.01)
    queue.close()
    for thread in workers:
        thread.join(60)
    assert not clashes
    assert seen == dict(changed)
