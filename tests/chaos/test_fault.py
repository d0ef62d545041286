"""A promise excuses exactly what it covers: the check of the real runs, on made-up ledgers."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

import pytest

from tests.chaos.fault import GONE_SECONDS, Promise, judge
from tests.e2e.load import FRESH_GET, FRESH_POST, Kind, Load, Shot
from tests.e2e.stage import Stage

DOCS: Final = Path(__file__).parents[2] / "docs"
NOTICED: Final = 100.0
HEALED: Final = 110.0
REFUSED: Final = "ConnectionRefusedError: [Errno 111]"
EMPTY: Final = "IncompleteReadError: 0 bytes"


class LedgerOnly:
    """The part of a stage that the check uses."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger


def _judge(
    directory: Path, promise: Promise, *lost: tuple[float, str], runs: int = 1, kind: Kind = FRESH_GET
) -> int:
    """How much is broken, if these were lost and one more was answered, which replicas ran so often."""
    load = Load(port=0)
    load.shots = [Shot(f"lost-{number}", kind, began, lost=why) for number, (began, why) in enumerate(lost)]
    load.shots.append(Shot("answered", kind, 90.0, lost=""))
    (directory / "requests.log").write_text("answered GET / host\n" * runs)
    return len(judge(promise, load, cast(Stage, LedgerOnly(directory)), NOTICED, HEALED))


@pytest.mark.parametrize(
    ("promise", "lost", "broken"),
    [
        (Promise.NONE, [], 0),
        (Promise.NONE, [(99.0, EMPTY)], 1),
        (Promise.IN_FLIGHT, [(99.0, EMPTY), (100.9, EMPTY)], 0),
        (Promise.IN_FLIGHT, [(99.0, EMPTY), (101.1, EMPTY)], 1),
        (Promise.GONE, [(99.0, EMPTY), (108.4, EMPTY)], 0),
        (Promise.GONE, [(99.0, EMPTY), (108.6, EMPTY)], 1),
        (Promise.RULES, [(98.0, REFUSED), (98.9, REFUSED)], 0),
        (Promise.RULES, [(98.0, REFUSED), (99.1, REFUSED)], 1),
        (Promise.RULES, [(98.0, EMPTY)], 1),
        (Promise.AWAY, [(99.0, EMPTY), (109.0, REFUSED)], 0),
        (Promise.AWAY, [(99.0, EMPTY), (111.0, REFUSED)], 1),
    ],
)
def test_what_a_promise_covers(
    promise: Promise, lost: list[tuple[float, str]], broken: int, tmp_path: Path
) -> None:
    assert _judge(tmp_path, promise, *lost) == broken


@pytest.mark.parametrize("promise", Promise)
def test_nothing_excuses_what_was_run_twice_or_answered_by_nobody(promise: Promise, tmp_path: Path) -> None:
    assert _judge(tmp_path, promise, runs=2, kind=FRESH_POST) == 1
    assert _judge(tmp_path, promise, runs=0) == 1


@pytest.mark.parametrize("page", ["proxy.md", "swarm.md"])
def test_the_docs_state_the_time_that_follows_from_the_settings(page: str) -> None:
    assert f" {GONE_SECONDS:g}" in (DOCS / page).read_text(encoding="utf-8").replace("\n", " ")
