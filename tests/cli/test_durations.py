"""Durations on the command line are those of manifests."""

import click
import pytest

from reconciler.cli.durations import DURATION


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("2s", 2.0), ("5m", 300.0), ("1m30s", 90.0)])
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "5", "-1s", "soon", "1 m"])
def test_anything_else_is_a_usage_error_that_shows_the_notation(text: str) -> None:
    with pytest.raises(click.UsageError, match="duration such as"):
        DURATION.convert(text, None, None)
