"""`make docs` builds a site from all pages, whose links lead somewhere, and which needs nothing from another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]*)|<link[^>]*\shref=\"([^\"]*)")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    words = ("build", "--config-file", str(root / ".mkdocs.yml"), "--site-dir", str(site))
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *words], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    done = build(ROOT, made)
    assert done.returncode == 0, done.stderr
    return made


def test_every_page_is_in_it(site: Path) -> None:
    pages = (path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
    for page in pages:
        html = "index.html" if page.name == "README.md" else f"{page.stem}.html"
        assert (site / page.parent / html).is_file(), page


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {found[1] or found[2] for page in pages for found in LOADED.finditer(page.read_text())}
    assert loaded
    assert not [address for address in loaded if "//" in address]


@pytest.mark.parametrize(
    "mistake", ["[gone](gone.md)", "[gone](resource.md#gone)", "[outside](../Makefile)"], ids=str
)
def test_a_link_that_leads_nowhere_is_an_error(mistake: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / ".mkdocs.yml", tmp_path)
    with (tmp_path / "docs" / "index.md").open("a") as page:
        page.write(f"\n{mistake}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "index.md" in done.stderr
