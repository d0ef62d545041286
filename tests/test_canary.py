"""The search for the canary finds it wherever it was planted, so that finding nothing means something."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import canary
from tests.canary import CANARY

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> Iterator[None]:
    """What is planted here must not be found by the search at the end of the session."""
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("history.sqlite3", 0o600),
        ("controller.log", 0o600),
        ("haproxy.cfg", 0o600),
        ("status.json", 0o600),
        ("compose.yaml", 0o644),
        (f"{CANARY}.json", 0o600),
    ],
)
def test_a_file_that_holds_it_is_found(tmp_path: Path, name: str, mode: int) -> None:
    path = tmp_path / "deep" / name
    path.parent.mkdir()
    path.write_bytes(b"\0before " + CANARY.encode() + b" after\xff")
    path.chmod(mode)
    assert [leak.partition(": ")[0] for leak in canary.left_in(tmp_path)][:1] == [str(path)]


@pytest.mark.parametrize("place", [0, canary.CHUNK - 5, canary.CHUNK, 3 * canary.CHUNK + 7])
def test_it_is_found_behind_a_hole_and_where_two_reads_meet(tmp_path: Path, place: int) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(bytes(place))
        file.write(CANARY.encode())
        file.truncate(2**40)
    assert canary.held_by(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(len(CANARY)))
    assert not canary.held_by(path)
    with path.open("r+b") as file:
        file.seek(2**40 - len(CANARY))
        file.write(CANARY.encode())
    assert canary.held_by(path)


def test_where_it_belongs_it_is_left_alone(tmp_path: Path) -> None:
    canary.settings_file(tmp_path / "secrets")
    compose = tmp_path / "compose.yaml"
    compose.write_text(CANARY)
    compose.chmod(0o600)
    (tmp_path / "other").write_text("nothing")
    assert canary.left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("details", "may_have_it", "shown"),
    [
        ({"Config": {"Env": [f"X={CANARY}"]}}, True, False),
        ({"Config": {"Env": [f"X={CANARY}"]}}, False, True),
        ({"Config": {"Env": [], "Labels": {"x": CANARY}}}, True, True),
        ({"Config": {"Env": []}, "Args": [CANARY]}, True, True),
    ],
)
def test_what_docker_shows(details: dict[str, Any], may_have_it: bool, shown: bool) -> None:
    assert canary.shown_of(details, may_have_it=may_have_it) is shown


LEAKS = [
    "print(CANARY)",
    "print(CANARY, file=sys.stderr)",
    "logging.getLogger('reconciler').warning('token %s', CANARY)",
    "os.write(1, CANARY.encode())",
    "pytest.skip(CANARY)",
    "assert 'something else' == CANARY",
]


def test_a_test_that_prints_it_fails(pytester: pytest.Pytester) -> None:
    root = Path(__file__).parents[1]
    pytester.makeconftest(f"import sys; sys.path.insert(0, {str(root)!r})\nfrom tests.conftest import *")
    leaky = "".join(f"def test_{number}(): {leak}\n" for number, leak in enumerate(LEAKS))
    pytester.makepyfile(
        "import logging, os, sys, pytest\nfrom tests.canary import CANARY\n"
        f"{leaky}def test_does_not(): pass\n"
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcomes = done.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (1, len(LEAKS))
    done.stdout.fnmatch_lines(["*the canary was seen in what this test printed*"])
    done.stdout.no_fnmatch_line(f"*{CANARY}*")
