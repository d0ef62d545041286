"""What `--bind` takes."""

from __future__ import annotations

import click
import pytest

from reconciler.cli.ip_address import ADDRESS


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1"), ("2001:DB8:0::1", "2001:db8::1")],
)
def test_addresses(text: str, address: str) -> None:
    assert ADDRESS.convert(text, None, None) == address


@pytest.mark.parametrize("text", ["", "localhost", "127.0.0.1:80", "127.1", "1.2.3.4/24", "1.2.3.4:5:6"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no address"):
        ADDRESS.convert(text, None, None)
