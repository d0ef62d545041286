"""The addresses of commits."""

from __future__ import annotations

import pytest

from reconciler.web.ui.forge import commit_address


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (
            "https://git.example.org/ops/infra.git#main:apps",
            "https://git.example.org/ops/infra/commit/6f22c24a",
        ),
        ("https://git.example.org/ops/infra/", "https://git.example.org/ops/infra/commit/6f22c24a"),
        ("http://anna:secret@[::1]:3000/infra.git#main", "http://[::1]:3000/infra/commit/6f22c24a"),
        ("ssh://git@git.example.org/infra.git", ""),
        ("git@git.example.org:infra.git", ""),
        ("javascript://git.example.org/%0aalert(1)", ""),
        ("file:///srv/infra.git", ""),
        ("https://[bad/infra.git", ""),
        ("https://git.example.org:port/infra.git", ""),
        ("/srv/infra", ""),
    ],
)
def test_only_a_source_over_http_has_pages(place: str, expected: str) -> None:
    assert commit_address(place, "6f22c24a") == expected


def test_a_commit_is_a_word() -> None:
    assert commit_address("https://git.example.org/infra.git", "") == ""
    assert commit_address("https://git.example.org/infra.git", "../../login") == ""
