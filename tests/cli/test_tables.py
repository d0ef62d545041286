"""Tables line up, ages read like kubectl's, and nothing that is printed can move the cursor."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.tables import age, fields, indented, printable, shortened, table

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CELL = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


def test_columns_are_aligned_and_empty_cells_are_marked() -> None:
    assert table(["NAME", "READY"], [["files", "3/3"], ["a", ""]]).splitlines() == [
        "NAME    READY",
        "files   3/3",
        "a       -",
    ]


def test_colours_do_not_count_as_width() -> None:
    plain = table(["A", "B"], [["x", "y"], ["longer", "z"]])
    coloured = table(["A", "B"], [[click.style("x", fg="red"), "y"], ["longer", "z"]])
    assert click.unstyle(coloured) == plain


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6))
def test_each_column_starts_at_one_place(rows: list[tuple[str, str, str]]) -> None:
    lines = table(["ONE", "TWO", "THREE"], rows).splitlines()
    second, third = lines[0].index("TWO"), lines[0].index("THREE")
    for line, row in zip(lines[1:], rows, strict=True):
        assert line[second : second + len(row[1] or "-")] == (row[1] or "-")
        assert line[third:] == (row[2] or "-")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (190, "3m10s"),
        (600, "10m"),
        (47 * 60 + 5, "47m"),
        (3600, "1h"),
        (3 * 3600 + 120, "3h2m"),
        (11 * 3600 + 59, "11h"),
        (86400 + 3600, "1d1h"),
        (12 * 86400 + 5, "12d"),
        (-5, "0s"),
    ],
)
def test_ages(seconds: int, written: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == written


def test_an_unknown_age_is_empty() -> None:
    assert age(None, NOW) == ""


@given(st.text())
def test_no_control_character_gets_through(text: str) -> None:
    safe = printable(text)
    assert all(character.isprintable() or character in "\n\t" for character in safe)
    assert len(safe) == len(text)


@given(st.text(), st.integers(1, 40))
def test_a_shortened_text_is_one_line_that_fits(text: str, width: int) -> None:
    line = shortened(text, width)
    assert len(line) <= width
    assert "\n" not in line


def test_fields_and_indentation() -> None:
    assert fields({"Name": "files", "Long name": ""}) == "Name:       files\nLong name:  -"
    assert indented("a\nb") == "  a\n  b"
