"""The calls of the engine's API that the product needs: those of docs/threat-model.md, tried with all others refused."""

from __future__ import annotations

import re
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.crash_points import CHANGES, CrashPoint, crash_stage
from tests.e2e.filter import Call, Filter
from tests.e2e.mortal import When

pytestmark = pytest.mark.docker

PAGE: Final = Path(__file__).parents[2] / "docs" / "threat-model.md"
ROW: Final = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \|", re.MULTILINE)


def _listed() -> tuple[Call, ...]:
    return tuple(Call(*row) for row in ROW.findall(PAGE.read_text(encoding="utf-8")))


def test_with_all_other_calls_refused_every_operation_works() -> None:
    calls = _listed()
    with (
        tempfile.TemporaryDirectory(prefix="vr-") as directory,
        closing(Filter(Path(directory) / "filter.sock", calls)) as gate,
        crash_stage({"DOCKER_HOST": gate.url}) as here,
    ):
        stage = here.stage
        with stage.controller():
            for kind in (*CHANGES, "CreateReplicas"):
                here.change(CrashPoint(When.AFTER, kind))
                stage.converged()
        stage.vaultctl("logs", stage.name)
        stage.vaultctl("doctor", code=None)
        stage.vaultctl("delete", stage.name, "--volumes", "--yes")
    assert not gate.refused
    assert gate.used == set(calls), "the list names a call that nobody needs"


@pytest.mark.parametrize(
    ("method", "path", "covered"),
    [
        ("POST", "/containers/0a1b/start", True),
        ("POST", "/containers/0a1b/exec", False),
        ("GET", "/containers/0a1b/start", False),
        ("POST", "/containers//start", False),
        ("POST", "/containers/0a1b/start?signal", False),
    ],
)
def test_a_path_of_the_list_covers_its_own_kind(method: str, path: str, covered: bool) -> None:
    assert Call("POST", "/containers/{id}/start").covers(method, path) is covered
