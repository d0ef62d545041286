"""What a test of tests/swarm tells of a fault is checked against its promise, and kept in a run for the page only."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final, cast

import pytest

from tests.chaos.fault import Promise
from tests.chaos.machines import CHANGES, KEEP, MACHINE_FAULTS, MachineFault, tell
from tests.e2e.load import FRESH_GET, Load, Shot
from tests.e2e.outcome import Outcome
from tests.e2e.stage import Stage

FAULT: Final = MachineFault("a node dies", Promise.AWAY, "test_ways_in.py::test_a_node_that_dies")
ROOT: Final = Path(__file__).parents[1] / "swarm"


class LedgerOnly:
    """The part of a stage that telling uses."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger

    def story(self) -> str:
        return ""


def _tell(directory: Path, *lost: float, seconds: float = 0.001) -> None:
    """Tell of a fault at 100 that was over at 103, and well again at 110, in which these were lost."""
    load = Load(port=0)
    load.ended = seconds
    load.shots = [
        Shot(f"lost-{number}", FRESH_GET, began, lost="EOFError") for number, began in enumerate(lost)
    ]
    load.shots.append(Shot("answered", FRESH_GET, 90.0, lost=""))
    (directory / "requests.log").write_text("answered GET / host\n")
    tell(FAULT, load, cast(Stage, LedgerOnly(directory)), harm=100.0, over=103.0, healed=110.0)


def test_a_run_for_the_page_keeps_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, ledger = tmp_path / "told", tmp_path / "ledger"
    ledger.mkdir()
    monkeypatch.delenv(KEEP, raising=False)
    _tell(ledger, 99.0)
    monkeypatch.setenv(KEEP, str(told))
    _tell(ledger, 99.0, 104.5)
    (line,) = told.read_text().splitlines()
    assert Outcome.loaded(line) == Outcome(FAULT.name, 7.0, 3, 2, (), (), 4.5)


def test_a_promise_that_is_not_kept_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="begun"):
        _tell(tmp_path, 111.0)


def test_less_load_than_is_promised_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="2 a second"):
        _tell(tmp_path, 99.0, seconds=1.0)


def test_each_fault_has_a_test_that_tells_of_it() -> None:
    for fault in (*MACHINE_FAULTS, *CHANGES.values()):
        file, _, name = fault.test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
        assert name.partition("[")[0] in functions, fault
