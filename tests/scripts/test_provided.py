"""The scripts that provide programs for tests, with one whose program is made here."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/provided.bash

answers() { [[ $("$1/hello" 2>&1) == hello ]]; }
fill() {
    echo filled >>log
    mkdir -p "$PLACE"
    printf '#!/bin/sh\\necho %s\\n' "$(cat word)" >"$PLACE/hello"
    chmod +x "$PLACE/hello"
}

provide usr/bin hello
echo "$PLACE/hello"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with this one script; `word` is what its program says."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(ROOT / "scripts" / "provided.bash", scripts)
    _program(scripts / "hello", SCRIPT)
    (tmp_path / "word").write_text("hello\n")
    return tmp_path


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _run(project: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    env = os.environ | ({"PATH": path} if path else {})
    return subprocess.run(
        [project / "scripts" / "hello"], env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="only on Debian and its relatives")
def test_a_program_is_made_once_for_all_that_ask(project: Path) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: _run(project), range(4)))
    assert [each.stdout for each in done] == [f"{project}/.hello/usr/bin/hello\n"] * 4
    assert (project / "log").read_text() == "filled\n"
    assert (project / ".hello" / ".gitignore").read_text() == "*\n"


def test_one_on_path_is_used_if_it_answers(project: Path) -> None:
    place = project / "own"
    place.mkdir()
    _program(place / "hello", "#!/bin/sh\necho hello\n")
    assert _run(project, f"{place}:{os.environ['PATH']}").stdout == f"{place}/hello\n"
    assert not (project / "log").exists()


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="only on Debian and its relatives")
def test_one_on_path_that_does_not_answer_is_not_used(project: Path) -> None:
    place = project / "own"
    place.mkdir()
    _program(place / "hello", "#!/bin/sh\nexit 1\n")
    assert _run(project, f"{place}:{os.environ['PATH']}").stdout == f"{project}/.hello/usr/bin/hello\n"


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="only on Debian and its relatives")
def test_a_program_that_was_unpacked_and_does_not_answer_is_an_error(project: Path) -> None:
    (project / "word").write_text("help\n")
    done = _run(project)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hello: the unpacked programs do not run on this machine")


def test_without_packages_the_places_are_named(project: Path, tmp_path: Path) -> None:
    place = tmp_path / "few"
    place.mkdir()
    for name in ("bash", "env", "dirname", "mkdir", "flock"):
        found = shutil.which(name)
        assert found
        (place / name).symlink_to(found)
    done = _run(project, str(place))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"put the programs on PATH, or into {project}/.hello/usr/bin" in done.stderr
