"""The page of attempts is that of the tests, and what an attack round tried is refused for the reasons that it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.admission import Profile
from tests.core.admission.test_rules import reviewed
from tests.security_page import SURFACES, attempts, page

PAGE = Path(__file__).parents[1] / "docs" / "security-tests.md"


@pytest.mark.parametrize("attempt", attempts(), ids=lambda attempt: json.dumps(attempt["service"])[:50])
def test_an_attempt_is_refused_by_its_rules(attempt: dict[str, Any]) -> None:
    found = reviewed(attempt["service"], Profile(attempt["profile"]))
    assert sorted({finding.rule for finding in found}) == attempt["refused"]
    assert attempt["refused"]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python -m tests.security_page docs/security-tests.md"
    )


def test_there_are_many_attempts_on_each_surface() -> None:
    assert page().count("\n| `{") >= 120
    assert page().count("\n- ") >= 60
    assert all(page().count(f"`tests/{file}`") == 1 for _, file in SURFACES)
