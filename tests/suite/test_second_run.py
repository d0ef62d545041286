"""Which tests are repeated, and the result of a second run: real runs of pytest over small suites."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.suite.outcome import Outcome
from tests.suite.second_run import AT_MOST, run_suite, why_not_again

WORKER = ("-p", "xdist", "-n", "1")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]

BEFORE = """
import os, pathlib, pytest
SEEN = pathlib.Path(__file__).parent
def fails_once(name):
    seen = SEEN / name
    if not seen.exists():
        seen.touch()
        raise AssertionError("the first time")
"""


class Suite:
    """A directory of tests. `run` runs it twice if that is what is to be done."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "test_it.py"
        (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n    promise: never twice\n")

    def run(self, *tests: str, options: tuple[str, ...] = ()) -> tuple[int, tuple[str, ...]]:
        self._path.write_text(BEFORE + "\n".join(tests))
        # Without a cache of bytecode: pytest's would tell two contents of the same second and size apart by nothing.
        return run_suite([*PYTEST, *options, str(self._path)], PYTEST)


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    # Test names are relative to the directory that pytest runs in.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # Plugins are most of what a run of one small test costs.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Suite(tmp_path)


GOOD = "def test_good(): pass"
ONCE = "def test_once(): fails_once('once')"
TWICE = "def test_twice(): assert False"
WITH_ID = (
    "@pytest.mark.parametrize('x', ['a b', 'c::d', '[é]'])\ndef test_ids(x): fails_once(x.encode().hex())"
)
PROMISED = "@pytest.mark.promise\ndef test_promised(): fails_once('promised')"
SKIPPED = "def test_skipped(): pytest.skip('no engine')"
EXPECTED = "@pytest.mark.xfail\ndef test_expected(): assert False"
TEARDOWN = (
    "@pytest.fixture\ndef broken():\n    yield\n    fails_once('teardown')\ndef test_teardown(broken): pass"
)
KILLED = "def test_killed():\n    if not (SEEN / 'killed').exists():\n        (SEEN / 'killed').touch(); os._exit(9)"


def test_a_suite_that_passes_is_run_once(suite: Suite) -> None:
    assert suite.run(GOOD, EXPECTED) == (0, ())


@pytest.mark.parametrize(
    ("test", "names"),
    [
        (ONCE, ["test_once"]),
        (TEARDOWN, ["test_teardown"]),
        (WITH_ID, ["test_ids[a b]", "test_ids[c::d]", "test_ids[[\\xe9]]"]),
    ],
)
def test_what_failed_once_is_told(suite: Suite, test: str, names: list[str]) -> None:
    status, said = suite.run(GOOD, test)
    assert (status, said) == (0, tuple(f"needed a second run: test_it.py::{name}" for name in names))


def test_what_fails_twice_is_broken(suite: Suite) -> None:
    status, said = suite.run(GOOD, ONCE, TWICE)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert said == ("needed a second run: test_it.py::test_once", "failed twice: test_it.py::test_twice")


def test_what_was_promised_is_not_run_again(suite: Suite) -> None:
    assert suite.run(ONCE, PROMISED) == (1, ("never run twice: test_it.py::test_promised",))


def test_a_test_that_took_its_worker_with_it_is_not_run_again(suite: Suite) -> None:
    assert suite.run(GOOD, KILLED, options=WORKER) == (1, ("never run twice: test_it.py::test_killed",))


def test_workers_tell_the_same(suite: Suite) -> None:
    assert suite.run(ONCE, PROMISED, options=WORKER)[1] == ("never run twice: test_it.py::test_promised",)
    assert suite.run(ONCE.replace("test_once", "test_also").replace("'once'", "'also'"), options=WORKER) == (
        0,
        ("needed a second run: test_it.py::test_also",),
    )


def test_a_skipped_test_has_not_passed(suite: Suite) -> None:
    said = ("skipped, so not passed: test_it.py::test_skipped: Skipped: no engine",)
    assert suite.run(SKIPPED) == (1, said)
    assert suite.run(SKIPPED, ONCE) == (1, ("needed a second run: test_it.py::test_once", *said))


def test_more_than_a_few_are_not_run_again(suite: Suite) -> None:
    few = [f"def test_{number}(): fails_once('{number}')" for number in range(AT_MOST)]
    assert suite.run(*few)[0] == 0
    many = [test.replace("fails_once('", "fails_once('again ") for test in few] + [ONCE]
    status, said = suite.run(*many)
    assert (status, said[0]) == (1, "4 tests failed; no more than 3 are run again")
    assert said[1:] == tuple(f"test_it.py::test_{name}" for name in (0, 1, 2, "once"))


@pytest.mark.parametrize(
    ("test", "status"),
    [
        ("raise ValueError", pytest.ExitCode.INTERRUPTED),
        ("def test_it(): raise KeyboardInterrupt", pytest.ExitCode.INTERRUPTED),
        ("def test_it(): pytest.exit('enough', 1)", 1),
    ],
)
def test_a_run_that_was_cut_short_is_not_made_good(suite: Suite, test: str, status: int) -> None:
    assert suite.run(test)[0] == status


def test_a_run_that_never_came_to_its_tests_has_failed() -> None:
    assert run_suite(["true"], PYTEST) == (1, ("true ended with status 0 before its tests had ended",))
    assert run_suite(["sh", "-c", "exit 5"], PYTEST)[0] == 5


def test_only_failed_tests_are_a_reason_to_run_again() -> None:
    assert why_not_again(Outcome(1, {"a": True})) == ()
    for status in set(range(256)) - {1}:
        assert why_not_again(Outcome(status, {"a": True}))
    assert why_not_again(Outcome(1))
