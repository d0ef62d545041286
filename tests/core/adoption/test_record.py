"""The record of an adoption: what is written is what is read, and what it says about the service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.adoption.record import (
    Adoption,
    FormerContainer,
    RecordError,
    Stage,
    from_document,
    to_document,
)

NAMES = st.text("abcdefgh-", min_size=1, max_size=8)
CONTAINERS = st.builds(
    FormerContainer,
    id=NAMES,
    name=NAMES,
    service=NAMES,
    restart=st.sampled_from(["no", "always", "on-failure"]),
    retries=st.integers(0, 9),
    grace=st.floats(0, 600),
)
RECORDS = st.builds(
    Adoption,
    name=NAMES,
    project=NAMES,
    stage=st.sampled_from(Stage),
    manifest=NAMES,
    web=NAMES,
    waits=st.booleans(),
    beside=st.integers(0, 65535),
    order=st.lists(NAMES).map(tuple),
    former=st.lists(CONTAINERS).map(tuple),
    revisions=st.dictionaries(NAMES, NAMES),
    moved=st.lists(NAMES).map(tuple),
    volumes=st.frozensets(NAMES),
    networks=st.frozensets(NAMES),
    directory=NAMES,
)


@given(RECORDS)
def test_what_is_written_is_read(record: Adoption) -> None:
    assert from_document(json.loads(json.dumps(to_document(record)))) == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "it has version 2, and this release reads 1"),
        ({"stage": "dreaming"}, "it is damaged: 'dreaming' is not a valid Stage"),
        ({"former": [{"id": "x"}]}, "it is damaged"),
        ({"volumes": None}, "it is damaged"),
        ({"more": 1}, "it is damaged"),
    ],
)
def test_a_damaged_record_is_not_guessed_at(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        from_document({**to_document(Adoption("files", "shop")), **change})


@pytest.mark.parametrize("document", [None, [], {}, "x", {"version": 1}])
def test_what_is_no_record_is_refused(document: Any) -> None:
    with pytest.raises(RecordError):
        from_document(document)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("waits", [False, True])
def test_whether_passes_may_act(stage: Stage, waits: bool) -> None:
    record = Adoption("files", "shop", stage=stage, web="app", waits=waits, beside=3, directory="/d")
    going = stage in (Stage.UNDOING, Stage.UNDONE, Stage.RELEASING, Stage.REMOVED)
    early = stage in (Stage.PLANNED, Stage.STORED, Stage.BESIDE)
    assert bool(record.closed) is (going or (waits and early))
    assert record.listens_beside is early
    if record.closed:
        assert "; continue: vaultctl " in record.closed


def test_what_a_pass_counts() -> None:
    record = Adoption(
        "files",
        "shop",
        web="app",
        former=tuple(FormerContainer(f"{name}-id", name, name) for name in ("db", "queue", "app")),
        revisions={"db": "v2-db", "queue": "v2-queue"},
        moved=("db",),
    )
    found = [(each.container, each.workload, each.revision) for each in record.counted()]
    assert found == [("db-id", "db", ""), ("queue-id", "queue", "v2-queue")], (
        "the web service is the journal's"
    )
