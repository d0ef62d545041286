"""Runs the suite, and repeats a few failed tests alone: on a small, busy machine a test may exceed its deadline.

A second run hides what fails sometimes, so it is for few, it is told, and it is not for everything: only after pytest has
said that tests failed, and never for what was promised (zero loss, crashes, security) or for a test that took its worker
with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.suite import outcome
from tests.suite.outcome import Outcome

AT_MOST: Final = 3
SECONDS: Final = 2700
"""For what no test owns; each test has a deadline of its own."""
KILL_SECONDS: Final = 60
"""SIGINT lets pytest say where it was; a run that does not listen is killed after that many seconds more."""


def run_suite(first: Sequence[str], again: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Run a command that runs the suite, and another one with what failed; return a status and what there is to say."""
    with tempfile.TemporaryDirectory(prefix="suite-") as directory:
        path = Path(directory)
        status, ended = _run(first, path / "first.json")
        if ended is None:
            return status or 1, (f"{' '.join(first)} ended with status {status} before its tests had ended",)
        skipped = tuple(f"skipped, so not passed: {test}: {reason}" for test, reason in ended.skipped.items())
        if ended.status == status == 0:
            return int(bool(skipped)), skipped
        if reasons := why_not_again(ended):
            return status or ended.status, reasons + skipped
        tests = list(ended.failed)
        print("== again, alone: what failed beside other tests", flush=True)
        status, second = _run([*again, *tests], path / "again.json")
        said = tuple(
            f"needed a second run: {test}" for test in tests if not second or test not in second.failed
        )
        said += tuple(f"failed twice: {test}" for test in (second.failed if second else ()))
        return status or int(second is None or bool(skipped)), said + skipped


def why_not_again(ended: Outcome) -> tuple[str, ...]:
    """Why what failed is not run again; nothing if it may be."""
    if ended.status != pytest.ExitCode.TESTS_FAILED:
        return (f"pytest ended with status {ended.status}, not because tests failed",)
    if not ended.failed:
        return ("pytest does not say which test failed",)
    if once := tuple(f"never run twice: {test}" for test, may_again in ended.failed.items() if not may_again):
        return once
    if len(ended.failed) > AT_MOST:
        return (f"{len(ended.failed)} tests failed; no more than {AT_MOST} are run again", *ended.failed)
    return ()


def _run(command: Sequence[str], path: Path) -> tuple[int, Outcome | None]:
    limited = ["timeout", "--signal=INT", f"--kill-after={KILL_SECONDS}", str(SECONDS), *command]
    status = subprocess.run(limited, env=_environment(os.environ, path)).returncode
    return status, Outcome.read(path) if path.exists() else None


def _environment(environment: Mapping[str, str], path: Path) -> dict[str, str]:
    options = f"{environment.get('PYTEST_ADDOPTS', '')} -p {outcome.PLUGIN}".strip()
    return {**environment, "PYTEST_ADDOPTS": options, outcome.VARIABLE: str(path)}


if __name__ == "__main__":
    exit_status, lines = run_suite(sys.argv[1:], [sys.executable, "-m", "pytest", "--numprocesses", "0"])
    print(*(f"== {line}" for line in lines), sep="\n", flush=True)
    sys.exit(exit_status)
