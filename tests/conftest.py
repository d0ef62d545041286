"""What holds for every test: the order of a run with workers, what is never run twice, and no deadline that depends on what
else the machine does.

With workers, what keeps a processor busy for minutes comes first, at the lowest priority, beside what waits for
containers; then the rest of that, so that none is left for the end while the other worker has nothing to do. A run without
workers keeps the order of the files: what is quick comes first.
"""

from __future__ import annotations

import faulthandler
import logging
import os
from collections.abc import Generator, Iterator
from datetime import date
from typing import Final

import hypothesis
import pytest

from tests import canary
from tests.suite.outcome import ONCE
from tests.swarm.laboratory import Laboratory, laboratory
from tests.threat_model import promised

STACKS_SECONDS = 30.0
"""How much later than a test's time-out the process is ended that a time-out cannot interrupt."""

TURNS: Final = 16
TURN: Final = int(os.environ.setdefault("TURN", str(date.today().toordinal())))
"""Which part of the tests marked `turns` a run has: another one each day, because a run of all tests has half an hour. All
workers take that of the process that started them.
"""

_stderr = pytest.StashKey[int]()

# Hypothesis measures by the wall's clock, also while another process has the processor.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real stderr: while a test runs, its output is captured."""
    config.stash[_stderr] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_stderr])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Called in each worker; the tests of a file stay together, in their order."""
    _keep_those_in_turn(config, items)
    # One question for each file: there are twenty times as many tests.
    paths = promised()
    once = {path for path in {item.path for item in items} if any(map(path.is_relative_to, paths))}
    for item in items:
        if item.path in once:
            item.add_marker(ONCE)
    if hasattr(config, "workerinput"):
        first, second = (
            {item.path for item in items if item.get_closest_marker(name)} for name in ("long", "docker")
        )
        items.sort(key=lambda item: (item.path not in first, item.path not in second))


def pytest_report_header() -> str:
    """Say that a run has a part of them only: pytest does not count what a worker deselected."""
    part = "all" if "EVERY_WAY" in os.environ else f"part {TURN % TURNS + 1} of {TURNS}, EVERY_WAY=1 runs all"
    return f"turns: {part} of the tests marked so, if whole directories are run"


def _keep_those_in_turn(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the others of those marked `turns`, if whole directories are run."""
    named = [path for path in config.args if ".py" in path]
    if "EVERY_WAY" in os.environ or named:
        return
    marked = [item for item in items if item.get_closest_marker("turns")]
    others = {item for number, item in enumerate(marked) if number % TURNS != TURN % TURNS}
    if others:
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=list(others))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """End a process whose test does not listen to its time-out, with the stacks of all threads."""
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker else item.config.getini("timeout") or 0)
    if seconds:
        faulthandler.dump_traceback_later(
            seconds + STACKS_SECONDS, exit=True, file=item.config.stash[_stderr]
        )
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def swarm() -> Iterator[Laboratory]:
    """A Swarm of three engines, for all tests of one process."""
    with laboratory(("vault-reconciler/whoami:latest", "haproxy:3.0")) as made:
        yield made


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
        report.keywords = {**report.keywords, ONCE: 1}
        report.sections = [
            (title, text.replace(canary.CANARY, "[canary]")) for title, text in report.sections
        ]
        report.longrepr = "the canary was seen in what this test printed, so a secret can be"
    return report
