"""What was packed is read again, and nothing else."""

from __future__ import annotations

import pytest

from reconciler.packing import packed, unpacked

CONTENT = b"some words " * 1000


def test_what_was_packed_is_read_again() -> None:
    assert len(packed(CONTENT)) < len(CONTENT)
    assert unpacked(packed(CONTENT), len(CONTENT)) == CONTENT


@pytest.mark.parametrize("data", [b"", b"no zlib", packed(CONTENT)[:-1]])
def test_anything_else_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked(data, len(CONTENT))


def test_more_than_the_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match=f"more than {len(CONTENT) - 1} bytes"):
        unpacked(packed(CONTENT), len(CONTENT) - 1)
