"""docs/cli.md is what the commands say."""

from pathlib import Path

from reconciler.cli.docs import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m reconciler.cli.docs docs/cli.md"


def test_every_bar_in_a_table_is_a_cell() -> None:
    for line in reference().splitlines():
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") == 3, line
