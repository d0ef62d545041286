"""git never prompts, leaves no process behind, and its messages have the reason without secrets."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from reconciler.sources.git.command import MAX_MESSAGE, Credentials, Git, GitError, GitTimeoutError


def fake_git(directory: Path, script: str) -> dict[str, str]:
    """An environment in which `git` is a shell script."""
    program = directory / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


def test_a_call_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    environ = fake_git(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    started = time.monotonic()
    with pytest.raises(GitTimeoutError, match=r"git fetch took longer than 0\.5 s"):
        Git(environ).run("-c", "a=b", "fetch", cwd=tmp_path, timeout=0.5)
    assert time.monotonic() - started < 50
    child = int((tmp_path / "child").read_text())
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False
    )
    assert state.stdout[:1] in ("", "Z")


def test_a_reason_is_one_line_without_secrets(tmp_path: Path) -> None:
    said = r"""printf 'hint: look\nremote: \033[2Jno, hunter2\nfatal: https://ada:other@host/x is away\n' >&2; exit 128"""
    environ = fake_git(tmp_path, said)
    with pytest.raises(GitError) as raised:
        Git(environ, secrets=["hunter2", ""]).run("fetch", cwd=tmp_path)
    assert str(raised.value) == "remote:  [2Jno, ***; https://host/x is away"


def test_a_reason_is_short(tmp_path: Path) -> None:
    environ = fake_git(tmp_path, "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1")
    with pytest.raises(GitError) as raised:
        Git(environ).run("fetch", cwd=tmp_path)
    assert len(str(raised.value)) == MAX_MESSAGE


def test_a_failure_without_words_has_its_exit_code(tmp_path: Path) -> None:
    environ = fake_git(tmp_path, "exit 3")
    with pytest.raises(GitError, match="git fetch ended with exit code 3"):
        Git(environ).run("fetch", cwd=tmp_path)


def test_a_machine_without_git_is_told_so(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path)}
    with pytest.raises(GitError, match="git is not installed"):
        Git(nothing).run("fetch", cwd=tmp_path)
    with pytest.raises(GitError, match="does not exist"):
        Git(nothing).run("fetch", cwd=tmp_path / "nowhere")


def test_variables_that_lead_git_elsewhere_are_not_passed_on(environ: dict[str, str], tmp_path: Path) -> None:
    led = {**environ, "GIT_DIR": "/nonexistent", "GIT_SSH": "/bin/false", "GIT_ASKPASS": "/bin/false"}
    assert Git(led).run("init", "--quiet", cwd=tmp_path) == ""
    assert (tmp_path / ".git").is_dir()


@pytest.mark.parametrize("url", ["ext::sh -c 'touch ran'", "git://127.0.0.1/x"])
def test_transports_that_run_programs_are_refused(environ: dict[str, str], tmp_path: Path, url: str) -> None:
    with pytest.raises(GitError, match="not allowed"):
        Git(environ).run("ls-remote", "--", url, cwd=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_credentials_become_settings_that_a_shell_reads_once() -> None:
    credentials = Credentials(Path("/a b/it's"), Path("/k ey"), Path("/known"))
    assert credentials.config()[-1] == ("credential.helper", "store --file='/a b/it'\"'\"'s'")
    assert credentials.ssh_command() == (
        "ssh -o BatchMode=yes -o ConnectTimeout=10 -o IdentitiesOnly=yes -i '/k ey' "
        "-o UserKnownHostsFile=/known -o StrictHostKeyChecking=yes"
    )
    assert Credentials().config() == ()
