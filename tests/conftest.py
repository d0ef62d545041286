"""The order of a run with workers: first what keeps a processor busy for minutes, at the lowest priority, beside what waits
for containers; then the rest of that, so that none is left for the end while the other worker has nothing to do. A run
without workers keeps the order of the files: what is quick comes first."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator

import pytest

from tests import canary


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Called in each worker; the tests of a file stay together, in their order."""
    if hasattr(config, "workerinput"):
        first, second = (
            {item.path for item in items if item.get_closest_marker(name)} for name in ("long", "docker")
        )
        items.sort(key=lambda item: (item.path not in first, item.path not in second))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command that is called in this process sets up logging for all of it; the next test knows nothing of that."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("reconciler", "vault_plugins", "metrics"))]
    levels, handlers = [logger.level for logger in loggers], set(root.handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    root.handlers[:] = [handler for handler in root.handlers if handler in handlers]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whatever a test printed, logged or failed with is searched for the secret that it ran with."""
    report = yield
    printed = [text for _, text in report.sections]
    if any(canary.seen_in(text) for text in (*printed, report.longreprtext, str(report.longrepr))):
        report.outcome = "failed"
        report.sections = [
            (title, text.replace(canary.CANARY, "[canary]")) for title, text in report.sections
        ]
        report.longrepr = "the canary was seen in what this test printed, so a secret can be"
    return report
