"""A page for each test; passwords cost next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.store import passwords
from tests.web.ui.people import House, house


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", 16)


@pytest.fixture
def home(tmp_path: Path, _cheap: None) -> Iterator[House]:
    with house(tmp_path / "state") as made:
        yield made
