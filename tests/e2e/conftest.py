"""What every end-to-end test needs: a real engine, and a stage that is swept afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests import canary
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import Stage, staged


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """In CI a missing engine is a failure: a proof that was skipped proves nothing."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=30, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem and os.environ.get("CI"):
        pytest.fail(f"no engine answers: {problem}")
    if problem:
        pytest.skip(f"no engine answers, run `make engine`: {problem}")


@pytest.fixture(scope="session", autouse=True)
def canary_is_nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every service of these tests has a secret, and what they left on disk is searched for it when all is over."""
    with canary.released():
        yield
    assert canary.left_in(tmp_path_factory.getbasetemp()) == []


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Three replicas of whoami, written down and not yet applied."""
    with staged(plugin="whoami", replicas=3) as stage:
        yield stage


@pytest.fixture
def harsh() -> Iterator[Stage]:
    """Three replicas that need a careful hand, applied by a controller that goes on running."""
    with harsh_stage() as stage, stage.controller():
        stage.converged()
        yield stage
