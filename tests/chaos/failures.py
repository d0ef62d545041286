"""A pytest plugin that prints why a test failed at once: the last one of the faults of a Swarm ends half an hour later."""

from __future__ import annotations

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """See pytest."""
    if report.failed:
        print(f"\n{report.nodeid} failed ({report.when}):\n{report.longreprtext}", flush=True)
