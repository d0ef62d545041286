"""The patterns of .vaultignore have the meaning of .gitignore; compared with git itself."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path, PurePath

import pytest

from reconciler.api.errors import ManifestError
from reconciler.api.ignore_file import NAME, read_ignored
from reconciler.api.manifest import survey
from reconciler.api.manifest_files import find

FILES = (
    *("a.yaml", "b.yml", "sub/a.yaml", "sub/deep/a.yaml", "charts/x/templates/t.yaml", "charts/values.yaml"),
    *("x1.yaml", "x2.yaml", "y!.yaml", "#n.yaml", "with space.yaml", "sub/charts/c.yaml", "(p+).yaml"),
)


@pytest.mark.parametrize(
    "rules",
    [
        *("a.yaml", "/a.yaml", "sub/a.yaml", "sub/", "charts/", "/charts/", "*.yml", "x?.yaml", "x[12].yaml"),
        *(
            "x[!1].yaml",
            "**/deep/",
            "sub/**",
            "**/a.yaml",
            "*.yaml\n!x1.yaml",
            "sub/*.yaml",
            r"\#n.yaml",
            "# a.yaml",
        ),
        *(
            "a.yaml/",
            "",
            "with space.yaml",
            "*\n!*/\n!a.yaml",
            "charts/**/t.yaml",
            "[z-a].yaml",
            "(p+).yaml",
            "  ",
        ),
        *(
            "c*r*s/",
            "*a*t*/t.yaml",
            "**/x/**/*",
            "**/**/a.yaml",
            "sub/**/",
            "/**",
            "*a*.*ml",
            "s**/a.yaml",
            "**/*s/*.y*",
        ),
        *("charts/*/templates/", r"\!x", "y[!a].yaml", "a.yaml   ", "/", "sub/deep", "?.y*ml", "!a.yaml"),
    ],
)
def test_it_leaves_out_what_git_leaves_out(rules: str, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: b\n")
    (tmp_path / NAME).write_text(f"{rules}\n")
    git = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "--others", f"--exclude-from={NAME}"]
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    listed = subprocess.run(git, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split("\0")
    kept = sorted(tmp_path / name for name in listed if name and name != NAME)
    assert [*find(tmp_path).files] == kept


@pytest.mark.parametrize(
    "rule", ["*a" * 40 + "b", "**/" * 40 + "x", "**/*a" * 40 + "b/c", "[a!]*" * 40 + "b"]
)
def test_a_pattern_that_fits_nowhere_is_given_up_soon(rule: str, tmp_path: Path) -> None:
    """The process would do nothing else meanwhile: `re` keeps all threads waiting."""
    (tmp_path / NAME).write_text(rule)
    ignored, began = read_ignored(tmp_path), time.monotonic()
    for path in (PurePath("a" * 240), PurePath(*"a" * 200, "a" * 200)):
        assert not ignored.holds(path, is_directory=False)
    assert time.monotonic() - began < 5


def test_without_the_file_nothing_is_left_out(tmp_path: Path) -> None:
    assert read_ignored(tmp_path).rules == ()


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Otherwise ignored files would be read, or their services deleted."""
    (tmp_path / NAME).write_bytes(b"\xff")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_ignored(tmp_path)
    assert NAME in str(survey(tmp_path).problems)
