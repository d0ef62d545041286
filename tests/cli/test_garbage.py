"""When Python collects garbage, in processes of their own: it is a setting of the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.cli.garbage import RARELY, USUAL


@pytest.mark.parametrize(
    ("calls", "threshold", "frozen"),
    [
        ("", USUAL, False),
        ("garbage.collect_rarely()", RARELY, False),
        ("garbage.collect_rarely(); garbage.collect_as_usual()", USUAL, True),
        ("garbage.collect_rarely(); garbage.keep_all()", RARELY, True),
    ],
)
def test_what_is_collected_and_when(calls: str, threshold: int, frozen: bool) -> None:
    script = f"import gc; from reconciler.cli import garbage; {calls}\n"
    script += "print(gc.get_threshold()[0], gc.get_freeze_count() > 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == [str(threshold), str(frozen)], done.stderr
