"""The table of `make cases`: it fails for every case that is not right."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil

from tests.e2e.waiting import until

ROOT = Path(__file__).parents[2]


def run(directory: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "cases", directory, *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def case(directory: Path, name: str, script: str) -> None:
    path = directory / name / "run.sh"
    path.parent.mkdir(parents=True)
    path.write_text(script)


def rows(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str, str]]:
    """Status, name and last line of each row, without the seconds."""
    table = []
    for line in done.stdout.splitlines()[:-1]:
        status, name, _, _, last = [*line.split(maxsplit=4), ""][:5]
        table.append((status, name, last))
    return table


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_all_are_right(tmp_path: Path) -> None:
    case(tmp_path, "b/02-second", "pwd")
    case(tmp_path, "a/01-first", "echo one; echo two; echo")
    done = run(tmp_path)
    assert done.returncode == 0
    assert rows(done) == [("0", "a/01-first", "two"), ("0", "b/02-second", str(ROOT))]
    assert done.stdout.splitlines()[-1] == "2 of 2 are right"


def test_one_that_is_not_right_or_could_not_be_tried_fails_the_table(tmp_path: Path) -> None:
    case(tmp_path, "a/1-right", "exit 0")
    case(tmp_path, "a/2-fault", "echo 'the fault' >&2; exit 1")
    case(tmp_path, "a/3-untried", "echo 'no engine'; exit 2")
    case(tmp_path, "a/4-killed", "kill -9 $$")
    done = run(tmp_path)
    assert done.returncode == 1
    assert rows(done) == [
        ("0", "a/1-right", ""),
        ("1", "a/2-fault", "the fault"),
        ("2", "a/3-untried", "no engine"),
        ("137", "a/4-killed", ""),
    ]
    assert done.stdout.splitlines()[-1] == "1 of 4 are right"


def test_one_without_an_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    case(tmp_path, "a/1-endless", f"sleep 1000 & echo $! >{tmp_path}/child; echo waiting; wait")
    done = run(tmp_path, CASE_SECONDS="1")
    assert done.returncode == 1
    assert rows(done) == [("124", "a/1-endless", "no end after 1 s; waiting")]
    until("its child has ended", lambda: has_ended(int((tmp_path / "child").read_text())))


def test_words_choose_by_name(tmp_path: Path) -> None:
    for name in ("field/1-yaml", "security/1-mounts", "security/2-links"):
        case(tmp_path, name, "")
    assert [name for _, name, _ in rows(run(tmp_path, "yaml", "links"))] == [
        "field/1-yaml",
        "security/2-links",
    ]


def test_nothing_to_try_is_no_success(tmp_path: Path) -> None:
    assert "there is no case" in run(tmp_path).stderr
    assert "not a directory" in run(tmp_path / "missing").stderr
    assert [run(tmp_path).returncode, run(tmp_path / "missing").returncode] == [1, 1]


def test_what_a_case_prints_moves_no_cursor(tmp_path: Path) -> None:
    case(tmp_path, "a/1-hostile", r"printf '\033[2Jgone\r\n'")
    assert rows(run(tmp_path)) == [("0", "a/1-hostile", "[2Jgone")]
