"""In a few days every application is run, and one that was changed at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.catalogue.turns import EACH_DAY, MOST, changed_lately, in_turn

SLUGS = [f"a{number:02}" for number in range(14)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 14])
def test_all_have_their_turn_within_a_round(count: int) -> None:
    slugs = SLUGS[:count]
    days = -(-count // EACH_DAY)
    for first in (0, 5, 739_000):
        runs = [in_turn(slugs, first + day) for day in range(days)]
        assert {slug for run in runs for slug in run} == set(slugs)
        assert all(len(run) == min(count, EACH_DAY) for run in runs)


def test_a_changed_one_is_run_besides_and_once() -> None:
    assert in_turn(SLUGS, 0, {"a01", "a09"}) == ["a00", "a01", "a09"]
    assert len(in_turn(SLUGS, 0, SLUGS)) == MOST


def test_what_commits_of_the_last_day_and_the_working_copy_changed(tmp_path: Path) -> None:
    def commit(path: str, date: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(date)
        git("add", ".")
        git("commit", "-qm", "x", date=date)

    def git(*words: str, date: str = "2026-01-01T00:00:00Z") -> None:
        who = {f"GIT_{role}_{field}": "x" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
        dates = {
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
        }
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, timeout=30, env=who | dates)

    assert changed_lately(tmp_path) == set()
    git("init", "-q")
    commit("vault_plugins/long_ago/plugin.py", "2026-01-01T00:00:00Z")
    commit("vault_plugins/docker_registry/plugin.py", "2026-01-03T00:00:00Z")
    commit("tests/catalogue/turns.py", "2026-01-03T01:00:00Z")
    commit("tests/catalogue/ntfy/Dockerfile", "2026-01-03T02:00:00Z")
    (tmp_path / "vault_plugins" / "new").mkdir()
    (tmp_path / "vault_plugins" / "new" / "README.md").write_text("x")
    assert changed_lately(tmp_path) == {"docker-registry", "ntfy", "new"}
