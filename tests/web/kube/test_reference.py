"""docs/kubernetes-api.md is what the lists say."""

from __future__ import annotations

from pathlib import Path

from reconciler.web.kube.reference import page

PAGE = Path(__file__).parents[3] / "docs" / "kubernetes-api.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python -m reconciler.web.kube.reference docs/kubernetes-api.md"
    )
