"""The tests that docs/threat-model.md names: each of its promises is held up by some, and those never run twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "threat-model.md"

_PROOF = re.compile(r"`(tests/[\w/.]+)`((?:: )?(?:(?:, )?`test_\w+`)*)")


def proofs(page: str) -> list[tuple[str, str]]:
    """File or directory, and name of a test in it; no name if the page names none."""
    return [
        (file, name) for file, names in _PROOF.findall(page) for name in re.findall(r"`(\w+)`", names) or [""]
    ]


def promised() -> tuple[Path, ...]:
    """The files and directories of the tests that the page relies on."""
    return tuple({ROOT / file for file, _ in proofs(PAGE.read_text(encoding="utf-8"))})
