"""What docs/threat-model.md and SECURITY.md promise is held up by tests that there are, line by line."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.fuzz.targets import TARGETS
from tests.fuzz.test_fuzz import INPUTS
from tests.threat_model import PAGE, ROOT, proofs

TEXT = PAGE.read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """The text below a heading."""
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[str]:
    """The rows of the one table below a heading, without its head."""
    return [line for line in section(TEXT, title).splitlines() if line.startswith("| ")][1:]


LINES = [*rows("What is defended"), *rows("Injection, place by place")]
PROMISES = re.split(r"^- ", section(SECURITY, "Guarantees"), flags=re.M)[1:]


@pytest.mark.parametrize(("file", "name"), sorted({*proofs(TEXT), *proofs(SECURITY)}))
def test_every_proof_is_there(file: str, name: str) -> None:
    path = ROOT / file
    assert path.is_file(), "a directory proves nothing in particular"
    assert not name or f"def {name}(" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("line", [*LINES, *PROMISES], ids=lambda line: line.strip("| ")[:40])
def test_every_line_names_what_proves_it(line: str) -> None:
    assert [file for file, _ in proofs(line) if file.endswith(".py")]


def test_the_pages_were_found() -> None:
    assert len(LINES) > 25
    assert len(PROMISES) == SECURITY.count("Proved by") > 2


def test_the_figures_of_the_fuzzer() -> None:
    assert f"about\n{len(TARGETS) * (INPUTS + 100):,}" in TEXT.replace("about ", "about\n")


def test_what_it_names_never_runs_twice() -> None:
    named = next(file for file, _ in proofs(TEXT) if file.startswith("tests/core/"))
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "promise"]
    files = [named, "tests/core/assess/test_diff.py"]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line} == {named}
