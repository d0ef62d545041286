"""A file is parsed again when its content has changed, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.store.parsed import Parsed


def test_the_same_content_is_parsed_once() -> None:
    asked: list[bytes] = []

    def parse(content: bytes) -> str:
        asked.append(content)
        return content.decode()

    parsed, path = Parsed(parse), Path("a")
    assert [parsed.of(path, b"one"), parsed.of(path, bytes(bytearray(b"one")))] == ["one", "one"]
    assert parsed.of(path, b"two") == "two"
    assert parsed.of(Path("b"), b"one") == "one"
    assert asked == [b"one", b"two", b"one"]
    parsed.forget(path)
    assert parsed.of(path, b"two") == "two"
    assert len(asked) == 4


def test_what_cannot_be_parsed_is_tried_again_and_replaces_nothing() -> None:
    parsed, path = Parsed(int), Path("a")
    assert parsed.of(path, b"1") == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            parsed.of(path, b"x")
    assert parsed.of(path, b"1") == 1
