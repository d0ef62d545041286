"""What `--allow-hostnames` takes."""

from __future__ import annotations

import click
import pytest

from reconciler.cli.hostname_pattern import HOSTNAME_PATTERN


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("*", "*"),
        ("*.example.org", "*.example.org"),
        ("App.Example.ORG.", "app.example.org"),
        ("localhost", "localhost"),
    ],
)
def test_patterns(text: str, pattern: str) -> None:
    assert HOSTNAME_PATTERN.convert(text, None, None) == pattern


@pytest.mark.parametrize("text", ["", "**", "*example.org", "a.*.org", "https://a.test", "a.test:80", "a b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no host name"):
        HOSTNAME_PATTERN.convert(text, None, None)
