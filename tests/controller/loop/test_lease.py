"""One holder at a time over all processes; a holder that is killed holds nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.api import TemporaryError
from reconciler.controller.loop.lease import RETRY_SECONDS, LeaseTakenError, is_held, lease

HOLDER = """
import sys
from pathlib import Path
from reconciler.controller.loop.lease import lease
with lease(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease until it is told to end."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_it_is_free_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    assert not is_held(path)
    with lease(path):
        assert is_held(path)
    assert not is_held(path)
    with lease(path):
        pass


def test_another_process_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with another_process(path):
        assert is_held(path)
        with pytest.raises(LeaseTakenError, match="another process holds") as refused, lease(path):
            pass
        assert refused.value.delay == RETRY_SECONDS


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with another_process(path) as process:
        process.kill()
        process.wait(10)
        with lease(path):
            pass


def test_it_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), lease(path):
        raise RuntimeError
    assert not is_held(path)


def test_a_place_that_cannot_be_written_is_an_error_to_try_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TemporaryError, match="cannot be locked"), lease(tmp_path / "file" / "lock"):
        pass


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with lease(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
