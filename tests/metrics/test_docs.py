"""docs/metrics.md matches the catalogue."""

import subprocess
import sys
from pathlib import Path

from metrics.catalog import EVERYTHING
from metrics.docs import render

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `python -m metrics.docs > docs/metrics.md`"


def test_the_page_names_every_metric_once_as_a_row() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [metric.name for metric in EVERYTHING]


def test_the_module_prints_the_page() -> None:
    printed = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "metrics.docs"],
        cwd=PAGE.parents[1],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert printed.stdout.decode() == render()
