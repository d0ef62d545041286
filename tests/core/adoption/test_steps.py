"""The order of the steps, as the text that a user sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from reconciler.core.adoption.record import Adoption, FormerContainer, Stage
from reconciler.core.adoption.steps import Act, steps, undoing
from tests.core.adoption.test_record import RECORDS

RECORD = Adoption(
    "files", "shop", web="app", order=("db", "queue"), former=(FormerContainer("1", "a", "app"),)
)


def told(record: Adoption) -> list[str]:
    return [str(step) for step in steps(record)]


def test_a_web_service_that_can_run_beside_the_old_one() -> None:
    assert told(RECORD) == [
        "store the manifest",
        "wait until it is Ready",
        "end the former containers: app",
        "wait until it is Ready",
        "let the controller take over: db",
        "wait until it is Ready",
        "let the controller take over: queue",
        "wait until it is Ready",
        "see that no former container runs: db, queue, app",
    ]


def test_one_that_writes_ends_before_anything_starts() -> None:
    assert told(replace(RECORD, waits=True))[:3] == [
        "store the manifest",
        "end the former containers: app",
        "wait until it is Ready",
    ]


def test_the_ways_out() -> None:
    assert told(undoing(RECORD)) == [
        "remove what the controller runs",
        "start the former containers: db, queue, app",
    ]
    assert told(replace(RECORD, stage=Stage.RELEASING)) == [
        "remove what the controller runs",
        "start the Compose project: db, queue, app",
    ]


@pytest.mark.parametrize("stage", [Stage.ADOPTED, Stage.FINISHED, Stage.RELEASED])
def test_where_it_ends(stage: Stage) -> None:
    assert told(replace(RECORD, stage=stage)) == []


@given(RECORDS)
def test_it_ends_from_everywhere_and_databases_move_once(record: Adoption) -> None:
    taken = list(steps(record))
    given_over = [step.services for step in taken if step.act is Act.GIVE]
    assert len(given_over) == len(set(given_over))
    assert not any(name in record.moved for (name,) in given_over)
    if taken and (last := taken[-1].after):
        assert not last.is_under_way


@given(RECORDS)
def test_nothing_of_the_other_side_starts_before_this_one_is_removed(record: Adoption) -> None:
    acts = [step.act for step in steps(record)]
    for start in {Act.REVIVE, Act.UP} & set(acts):
        assert record.stage in (Stage.UNDONE, Stage.REMOVED) or acts.index(Act.DELETE) < acts.index(start)
