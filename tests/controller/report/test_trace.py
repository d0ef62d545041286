"""A pass has an id of its own, in its own thread, for exactly as long as it lasts."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from reconciler.controller.report.trace import current, exemplar, tracing


def test_outside_of_a_pass_there_is_nothing_to_name() -> None:
    assert current() is None
    assert exemplar() == {}


def test_inside_everything_names_the_same_pass() -> None:
    with tracing("files") as trace:
        assert current() is trace
        assert trace.service == "files"
        assert exemplar() == {"reconcile_id": trace.reconcile_id}
    assert current() is None


def test_a_pass_that_fails_ends_too() -> None:
    with pytest.raises(RuntimeError), tracing("files"):
        raise RuntimeError
    assert current() is None


def test_passes_side_by_side_keep_their_own() -> None:
    together = Barrier(4)

    def work(number: int) -> tuple[str, str]:
        with tracing(f"s{number}") as trace:
            together.wait(60)
            seen = current()
            assert seen is trace
            return trace.service, trace.reconcile_id

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(work, range(4)))
    assert [service for service, _ in seen] == ["s0", "s1", "s2", "s3"]
    assert len({each for _, each in seen}) == 4
