"""`python -m metrics.dashboards` writes the JSON files of this directory; a test compares them with pages.py."""

from __future__ import annotations

from pathlib import Path

from metrics.dashboards.grafana import to_json
from metrics.dashboards.pages import PAGES

if __name__ == "__main__":
    for page in PAGES:
        path = Path(__file__).parent / f"{page.slug}.json"
        path.write_text(to_json(page), encoding="utf-8")
