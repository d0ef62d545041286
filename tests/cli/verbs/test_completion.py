"""The completion script is one that the shell accepts and that completes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Vaultctl = Callable[..., Result]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(vaultctl: Vaultctl, shell: str) -> None:
    done = vaultctl("completion", shell)
    assert done.exit_code == 0
    assert "_VAULTCTL_COMPLETE" in done.stdout


def test_bash_completes_with_it(vaultctl: Vaultctl, tmp_path: Path) -> None:
    program = tmp_path / "vaultctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler.cli "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "completion.bash"
    script.write_text(
        vaultctl("completion", "bash").stdout
        + "COMP_WORDS=(vaultctl des); COMP_CWORD=1; _vaultctl_completion vaultctl; echo ${COMPREPLY[@]}\n"
    )
    done = subprocess.run(
        ["bash", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.stdout.split() == ["describe"], done.stderr
