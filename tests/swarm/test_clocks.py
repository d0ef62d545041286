"""Another wall clock for one process: what it asks in each way is shifted, and its other clocks are not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.e2e.waiting import until
from tests.swarm.clocks import shifted

HOUR = 3600
ASK = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
libc.time.restype = ctypes.c_long
moment = (ctypes.c_long * 2)()
for line in sys.stdin:
    libc.gettimeofday(moment, None)
    print(time.time(), libc.time(None), moment[0], time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
"""


@pytest.fixture
def asked() -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", ASK]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def clocks(process: subprocess.Popen[str]) -> tuple[list[float], float]:
    """How far each of its ways to ask for the wall clock is ahead of ours, and its monotonic clock."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    *walls, monotonic = map(float, process.stdout.readline().split())
    return [wall - time.time() for wall in walls], monotonic - time.monotonic()


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_the_wall_clock_is_shifted_and_put_right_again(asked: subprocess.Popen[str], seconds: int) -> None:
    near = pytest.approx(0, abs=60)
    assert clocks(asked) == ([near] * 3, near)
    with shifted(seconds, lambda: [asked.pid]):
        assert clocks(asked) == ([pytest.approx(seconds, abs=60)] * 3, near)
    assert clocks(asked) == ([near] * 3, near)
    assert asked.poll() is None


def test_a_process_that_becomes_another_program_is_shifted_again() -> None:
    words = ["sh", "-c", f"read line; exec '{sys.executable}' -c \"$0\"", ASK]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        with shifted(HOUR, lambda: [process.pid]):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            until("it is shifted", lambda: clocks(process)[0] == [pytest.approx(HOUR, abs=60)] * 3, 20.0)
        process.stdin.close()


def test_a_process_that_ends_meanwhile_is_nothing_to_put_right() -> None:
    with subprocess.Popen(["sleep", "60"]) as process, shifted(HOUR, lambda: [process.pid]):
        process.kill()
        process.wait()
