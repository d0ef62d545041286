"""A hanging test is stopped, even where no signal interrupts it, and its position is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
# A hash of this takes minutes inside of one call in C, where no Python code runs, so no handler of a signal either.
DEAF = "import hashlib\ndef test_deaf(): hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("import time\ndef test_asleep(): time.sleep(600)", "*Failed: Timeout*"),
        (DEAF, "*test_it.py*in test_deaf*"),
    ],
)
def test_a_test_that_hangs_is_ended(pytester: pytest.Pytester, test: str, said: str) -> None:
    pytester.makeconftest(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests import conftest\nfrom tests.conftest import *\nconftest.STACKS_SECONDS = 1.0\n"
    )
    pytester.makeini("[pytest]\ntimeout = 1\n")
    path = pytester.makepyfile(test_it=test)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", path, timeout=120)
    assert done.ret == 1
    (done.stdout if "Failed" in said else done.stderr).fnmatch_lines([said])


def test_one_that_may_take_as_long_as_it_likes_does(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests import conftest\nfrom tests.conftest import *\nconftest.STACKS_SECONDS = 0.1\n"
    )
    pytester.makeini("[pytest]\ntimeout = 1\n")
    pytester.makepyfile(
        "import time, pytest\n@pytest.mark.timeout(0)\ndef test_slow(): time.sleep(1.5)\n"
        "def test_quick(): pass\n"
    )
    assert pytester.runpytest_subprocess("-p", "no:cacheprovider").ret == 0


@pytest.mark.parametrize("every_way", [False, True])
def test_each_of_those_in_turn_runs_on_one_of_the_days(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, every_way: bool
) -> None:
    pytester.makeconftest(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.conftest import *\n"
        "def pytest_configure(config): config.addinivalue_line('markers', 'turns')\n"
        "del pytest_unconfigure, pytest_runtest_protocol\n"
    )
    pytester.makepyfile(
        test_it="import pytest\n@pytest.mark.turns\n@pytest.mark.parametrize('n', range(16))\ndef test_it(n): pass\n"
        "def test_always(): pass\n"
    )
    monkeypatch.delenv("EVERY_WAY", raising=False)
    if every_way:
        monkeypatch.setenv("EVERY_WAY", "1")
    ran = []
    for day in (16, 17):
        monkeypatch.setenv("TURN", str(day))
        done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-v", timeout=120)
        ran += [line for line in done.outlines if "PASSED" in line]
    times = [2] * 16 if every_way else [1, 1] + [0] * 14
    assert [sum(f"test_it[{n}]" in line for line in ran) for n in range(16)] == times
    assert sum("test_always" in line for line in ran) == 2
