"""`exec` becomes the engine's command line; what runs in the container is tried in tests/e2e."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from reconciler.engines.compose.cli import exec_line

Vaultctl = Callable[..., Result]

BECOME = "from reconciler.cli.verbs.exec import become; become({words!r})"


def become(*words: str) -> subprocess.CompletedProcess[str]:
    program = BECOME.format(words=words)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_line_of_the_engine() -> None:
    assert exec_line(None, "c1", ["ls", "-l"], stdin=False, tty=False) == (
        *("docker", "--host", "unix:///var/run/docker.sock", "exec", "c1", "ls", "-l"),
    )
    assert exec_line("tcp://h:1", "c1", ["sh"], stdin=True, tty=True)[1:6] == (
        *("--host", "tcp://h:1", "exec", "--interactive", "--tty"),
    )


def test_the_exit_code_and_the_streams_are_those_of_the_command() -> None:
    done = become("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_the_command_is_ended_by_a_pipe_that_is_no_longer_read() -> None:
    assert become("sh", "-c", "kill -PIPE $$; exit 3").returncode == -13


def test_the_environment_is_the_short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "x")
    assert "COMPOSE_PROFILES" in os.environ
    assert "COMPOSE_PROFILES" not in become("env").stdout


def test_a_program_that_is_missing_is_named() -> None:
    assert "no-such-docker cannot be started: No such file or directory" in become("no-such-docker").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["files"], "Missing argument '-- COMMAND...'"),
        (["files", "--", "ls"], "there is no VaultService 'files'"),
        (["vg/main", "--", "ls"], "vaultgateway/main is no VaultService; exec is only for those"),
    ],
)
def test_mistakes(vaultctl: Vaultctl, arguments: list[str], says: str) -> None:
    done = vaultctl("exec", *arguments)
    assert done.exit_code in (1, 2)
    assert says in done.stderr
