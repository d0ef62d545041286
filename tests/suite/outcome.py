"""The result of a pytest run, as a value and as a JSON file. An exit code says only that something failed.

As a plugin (`-p tests.suite.outcome`) it writes the file that SUITE_OUTCOME names. With workers, their controller does.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pytest

VARIABLE: Final = "SUITE_OUTCOME"
PLUGIN: Final = "tests.suite.outcome"
ONCE: Final = "promise"
"""The marker of tests that are never repeated: they check guarantees, where one failure is too many."""


@dataclass
class Outcome:
    """`status` is pytest's. `failed` says of each test that failed whether it may be run again."""

    status: int
    failed: dict[str, bool] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """What a run has written. Raises FileNotFoundError if it did not come so far."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def note(self, report: pytest.TestReport) -> None:
        """Take in one phase of a test."""
        if report.failed:
            # xdist makes a report without a phase for the test that was under way when a worker was lost.
            has_ended = report.when in ("setup", "call", "teardown")
            may_again = has_ended and ONCE not in report.keywords
            self.failed[report.nodeid] = may_again and self.failed.get(report.nodeid, True)
        elif report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped[report.nodeid] = reason


class Writer:
    """The plugin of one run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcome = Outcome(pytest.ExitCode.INTERNAL_ERROR)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._outcome.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._outcome.skipped[report.nodeid] = str(report.longrepr)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._outcome.status = int(exitstatus)
        self._path.write_text(json.dumps(asdict(self._outcome)), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Switch it on where it is asked for, but not in each worker."""
    if (path := os.environ.get(VARIABLE)) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(Path(path)))
