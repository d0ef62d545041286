"""Every verb when its input is closed or its output cannot be written: one line, an exit code, and no traceback."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from reconciler.cli import exit_codes, verbs

VERBS: Final = sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))
MANIFEST: Final = (
    "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: web}\nspec: {plugin: whoami}\n"
)
ANSWERS: Final = (
    "version",
    "explain",
    "completion bash",
    "plugin list",
    "get -o json",
    "validate -f web.yaml",
)
FROM_STDIN: Final = ("apply", "validate", "diff", "render -o out")


def vaultctl(tmp_path: Path, words: str, redirect: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    program = f"{sys.executable} -c 'from reconciler.cli import main; main()' {words} {redirect}"
    environ = {**os.environ, "VAULT_STATE_DIR": str(tmp_path / "state")}
    command = ["bash", "-c", program]
    return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_that_cannot_be_written_is_an_error(words: str, redirect: str, tmp_path: Path) -> None:
    done = vaultctl(tmp_path, words, redirect)
    assert done.returncode == exit_codes.FAILED
    assert done.stderr.splitlines()[-1].startswith("Error: standard output: ")
    assert "Traceback" not in done.stderr


def test_a_pipe_without_a_reader_is_one_too(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", "from reconciler.cli import main; main()", "version"]
    with open(writer, "wb") as output:  # noqa: PTH123
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (exit_codes.FAILED, "Error: standard output: Broken pipe\n")


def test_where_nothing_can_be_said_the_exit_code_has_to_do(tmp_path: Path) -> None:
    assert vaultctl(tmp_path, "version", ">/dev/full 2>/dev/full").returncode == exit_codes.FAILED
    assert vaultctl(tmp_path, "nonsense", ">&- 2>&-").returncode == exit_codes.USAGE


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_too(verb: str, tmp_path: Path) -> None:
    done = vaultctl(tmp_path, f"{verb} --help", ">/dev/full")
    assert (done.returncode, done.stderr) == (
        exit_codes.FAILED,
        "Error: standard output: No space left on device\n",
    )


@pytest.mark.parametrize("words", FROM_STDIN)
def test_a_closed_input_is_named(words: str, tmp_path: Path) -> None:
    done = vaultctl(tmp_path, f"{words} -f -", "<&-")
    assert done.returncode == (exit_codes.TROUBLE if words == "diff" else exit_codes.FAILED)
    assert done.stderr == "Error: <stdin>: is closed; pipe manifests into it, or name a file\n"
