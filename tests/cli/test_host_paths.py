"""What `--host-path` and VAULT_HOST_PATH come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.host_paths import HOST_PATH, closes_defaults, read_only, writable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a", ["/a"]),
        ("/a:/b", ["/a", "/b"]),
        ("/a:ro:/b", ["/a:ro", "/b"]),
        ("none:/a:/b:ro", ["none", "/a", "/b:ro"]),
        ("", []),
        ("ro", ["ro"]),
    ],
)
def test_the_environment_is_split_like_a_path(text: str, expected: list[str]) -> None:
    assert list(HOST_PATH.split_envvar_value(text)) == expected


def test_values_are_sorted_into_what_may_be_done() -> None:
    values = ("none", "/a", "/b:ro")
    assert writable(values) == (Path("/a"),)
    assert read_only(values) == (Path("/b"),)
    assert closes_defaults(values)
    assert not closes_defaults(("/a",))
