"""Of the applications, a run of whole directories has a few (turns.py); `make catalogue` has all of them."""

from __future__ import annotations

import os

import pytest

from tests.catalogue.applications import ROOT, applications
from tests.catalogue.turns import changed_lately, in_turn
from tests.conftest import TURN

MARKER = "application"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the applications that are not in turn, if whole directories are run."""
    if "EVERY_WAY" in os.environ or any(".py" in path for path in config.args):
        return
    wanted = in_turn(list(applications()), TURN, changed_lately(ROOT))
    others = [item for item in items if _slug(item) not in ("", *wanted)]
    if others:
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


def _slug(item: pytest.Item) -> str:
    """The application that a test is about; "" for any other test."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get(MARKER, "")) if callspec else ""
