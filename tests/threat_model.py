"""The tests that docs/threat-model.md and SECURITY.md name: each promise is held up by some, and those never run twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "threat-model.md"
SECURITY: Final = ROOT / "SECURITY.md"

_PROOF = re.compile(r"`(tests/[\w/.]+)`((?:: )?(?:(?:, )?`test_\w+`)*)")


def proofs(page: str) -> list[tuple[str, str]]:
    """File, and name of a test in it; no name if the page names none."""
    return [
        (file, name) for file, names in _PROOF.findall(page) for name in re.findall(r"`(\w+)`", names) or [""]
    ]


def promised() -> tuple[Path, ...]:
    """The files of the tests that the two pages rely on."""
    pages = (page.read_text(encoding="utf-8") for page in (PAGE, SECURITY))
    return tuple({ROOT / file for page in pages for file, _ in proofs(page)})
