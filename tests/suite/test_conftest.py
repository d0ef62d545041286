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
