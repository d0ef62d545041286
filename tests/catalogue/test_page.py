"""The page of the catalogue is up to date, and names each application once."""

from __future__ import annotations

from tests.catalogue.applications import ROOT, applications
from tests.catalogue.page import page


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m tests.catalogue.page docs/catalogue.md"


def test_each_application_has_one_row() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(applications())
