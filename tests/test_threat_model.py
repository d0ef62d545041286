"""Whatever the threat model says is proved by a test is a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
PROOFS = [
    (file, name)
    for file, names in re.findall(r"`(tests/[\w/.]*)`((?:: )?(?:(?:, )?`test_\w+`)*)", PAGE)
    for name in re.findall(r"`(\w+)`", names) or [""]
]


@pytest.mark.parametrize(("file", "name"), PROOFS)
def test_every_proof_is_there(file: str, name: str) -> None:
    path = ROOT / file
    assert path.exists()
    assert not name or f"def {name}(" in path.read_text(encoding="utf-8")


def test_the_page_names_proofs() -> None:
    assert len(PROOFS) > 25
