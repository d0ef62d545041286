"""SIGTERM ends what a verb runs whatever its main thread is doing, and a second one at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from reconciler.cli import exit_codes

PATIENCE = 120.0
PROGRAM = """
import threading
from reconciler.cli.signals import stop_on_signals

stop = stop_on_signals()
for _ in range(8):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
stop.wait()
print("asked", flush=True)
{then}
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended afterwards."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def start(started: list[subprocess.Popen[str]], then: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM.format(then=then)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_just_after_a_pause_as_well(started: list[subprocess.Popen[str]]) -> None:
    for _ in range(10):
        process = start(started, "pass")
        # The kernel gives a signal to a thread that can take it, and the main one may not be back yet.
        for signum in (signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM):
            process.send_signal(signum)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_second_one_ends_what_the_first_one_waits_for(
    started: list[subprocess.Popen[str]], signum: signal.Signals
) -> None:
    process = start(started, "threading.Event().wait()")
    process.send_signal(signum)
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signum)
    assert process.wait(PATIENCE) == exit_codes.INTERRUPTED
