"""What the threat model says is proved by a test is a test that there is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.threat_model import PAGE, ROOT, proofs

PROOFS = proofs(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "name"), PROOFS)
def test_every_proof_is_there(file: str, name: str) -> None:
    path = ROOT / file
    assert path.exists()
    assert not name or f"def {name}(" in path.read_text(encoding="utf-8")


def test_the_page_names_proofs() -> None:
    assert len(PROOFS) > 25


def test_what_it_names_never_runs_twice() -> None:
    files = ("tests/core/test_admission.py", "tests/core/test_diff.py")
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "promise", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line} == {files[0]}
