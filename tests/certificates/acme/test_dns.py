"""The user's program for DNS records: what it is told, when it is killed, and which one is not run."""

from __future__ import annotations

import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.acme import DnsProgram
from reconciler.certificates.acme.dns import DnsRunner
from reconciler.certificates.errors import AcmeError, Why
from reconciler.certificates.order import Answer

ANSWER = Answer("*.a.org", "dns-01", "u", "token", "the-value")


def spec(**more: Any) -> DnsProgram:
    return DnsProgram.model_validate({"program": "dns", **more})


def program(directory: Path, text: str, mode: int = 0o755) -> Path:
    path = directory / "dns"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def test_it_is_told_the_record_and_its_value(tmp_path: Path) -> None:
    program(tmp_path, f'echo "$@" >{tmp_path}/told; env >{tmp_path}/env')
    runner = DnsRunner(tmp_path, {"PATH": "/usr/bin:/bin", "DATABASE_PASSWORD": "hunter2"})
    runner.run(spec(arguments=["--zone", "a.org"], environment={"TTL": "60"}), "present", ANSWER)

    assert (tmp_path / "told").read_text() == "--zone a.org present _acme-challenge.a.org. the-value\n"
    environment = (tmp_path / "env").read_text()
    assert "TTL=60" in environment
    assert "hunter2" not in environment


def test_a_failure_says_its_last_line(tmp_path: Path) -> None:
    program(tmp_path, "echo first >&2; printf 'no \\033[1msuch zone\\n' >&2; exit 3")
    with pytest.raises(
        AcmeError, match=r"could not cleanup _acme-challenge.a.org.: exit code 3, no .*such zone"
    ) as caught:
        DnsRunner(tmp_path, {}).run(spec(), "cleanup", ANSWER)
    assert caught.value.why is Why.DNS_PROGRAM
    assert caught.value.message.isprintable()


def test_one_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    program(tmp_path, "sleep 60 & sleep 60")
    began = time.monotonic()
    with pytest.raises(
        AcmeError, match=r"did not present .* in 1 s and was killed; raise spec.acme.dns.timeout"
    ):
        DnsRunner(tmp_path, {"PATH": "/usr/bin:/bin"}).run(spec(timeout=1.0), "present", ANSWER)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("text", "is_killed"), [("exit 0", False), ("sleep 60", True)])
def test_a_daemon_that_a_program_leaves_behind_is_not_waited_for(
    tmp_path: Path, text: str, is_killed: bool
) -> None:
    """It has stderr of the program, and is in a session of its own: `ssh` with ControlPersist is one."""
    program(tmp_path, f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 60' &\nsleep 0.2\n{text}")
    began = time.monotonic()
    try:
        with pytest.raises(AcmeError, match="was killed") if is_killed else nullcontext():
            DnsRunner(tmp_path, {"PATH": "/usr/bin:/bin"}).run(spec(timeout=2.0), "present", ANSWER)
        assert time.monotonic() - began < 30
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (0o644, "it is no executable file; run: chmod 755"),
        (0o777, "others than the controller's user can change it; run: chmod go-w"),
        (0o775, "others than the controller's user can change it"),
    ],
)
def test_some_programs_are_not_run(tmp_path: Path, mode: int, message: str) -> None:
    program(tmp_path, "exit 0", mode)
    with pytest.raises(AcmeError) as caught:
        DnsRunner(tmp_path, {}).run(spec(), "present", ANSWER)
    assert message in caught.value.message


def test_a_missing_one_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(AcmeError, match=r"No such file or directory; put it there"):
        DnsRunner(tmp_path, {}).run(spec(), "present", ANSWER)
    with pytest.raises(AcmeError, match="start the controller with --dns-programs DIRECTORY"):
        DnsRunner(None, {}).run(spec(), "present", ANSWER)
    (tmp_path / "dns").mkdir()
    with pytest.raises(AcmeError, match="no executable file"):
        DnsRunner(tmp_path, {}).run(spec(), "present", ANSWER)


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    path = tmp_path / "dns"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(AcmeError, match="cannot be started: No such file"):
        DnsRunner(tmp_path, {}).run(spec(), "present", ANSWER)
