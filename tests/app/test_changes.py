"""Each change sets the fields of its verb, and its commit says what it is about and no value of a setting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from reconciler.api import VaultError, VaultService
from reconciler.app import changes
from reconciler.app.changes import Change
from reconciler.store.base import Origin, RevisionRecord, StoredObject

NOW = datetime(2026, 5, 1, 14, 0, 30, 999, tzinfo=timezone(timedelta(hours=2)))
MOMENT = "2026-05-01T12:00:30Z"

CHANGES: list[tuple[Change, dict[str, Any], str]] = [
    (changes.scale("files", 5), {"replicas": 5}, "scale(files): replicas 3 -> 5"),
    (changes.suspend("files"), {"suspend": True}, "suspend(files): leave it alone"),
    (changes.resume("files"), {"suspend": False}, "resume(files): take care of it again"),
    (changes.pause("files"), {"strategy.paused": True}, "pause(files): pause rollouts"),
    (changes.resume_rollouts("files"), {"strategy.paused": False}, "resume(files): resume rollouts"),
    (changes.restart("files", NOW), {"restartedAt": MOMENT}, f"restart(files): {MOMENT}"),
    (changes.rotate("files", NOW), {"rotatedAt": MOMENT}, f"rotate(files): {MOMENT}"),
    (changes.assign("files", {"env.TOKEN": "hunter2"}), {"env.TOKEN": "hunter2"}, "set(files): env.TOKEN"),
]


@pytest.mark.parametrize(("change", "fields", "subject"), CHANGES)
def test_changes(change: Change, fields: dict[str, Any], subject: str) -> None:
    assert change.fields == fields
    assert change.subject({"replicas": 3}) == subject


def stored_with(
    make: Callable[..., VaultService], origin: Origin, noted: str = "", **spec: Any
) -> StoredObject[Any]:
    service = make(**spec)
    notes = {changes.REPLICAS: noted} if noted else {}
    metadata = service.metadata.model_copy(update={"annotations": notes})
    return StoredObject(service.model_copy(update={"metadata": metadata}), origin)


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"replicas": 3}, {"replicas": 0, f"metadata.annotations.{changes.REPLICAS}": "3"}),
        ({}, {"replicas": 0, f"metadata.annotations.{changes.REPLICAS}": None}),
        ({"replicas": 0}, {}),
    ],
)
def test_stop_notes_what_start_needs(
    make_service: Callable[..., VaultService], origin: Origin, spec: dict[str, Any], fields: dict[str, Any]
) -> None:
    change = changes.stop(stored_with(make_service, origin, **spec))
    assert change.fields == fields


@pytest.mark.parametrize(
    ("replicas", "noted", "wanted"), [(0, "3", 3), (0, "", None), (2, "3", "unchanged"), (0, "1000", 1000)]
)
def test_start_takes_the_note_back(
    make_service: Callable[..., VaultService], origin: Origin, replicas: int, noted: str, wanted: object
) -> None:
    change = changes.start(stored_with(make_service, origin, noted, replicas=replicas))
    assert change.fields.get("replicas", "unchanged") == wanted
    assert (f"metadata.annotations.{changes.REPLICAS}" in change.fields) == (replicas == 0)


@pytest.mark.parametrize("noted", ["three", "0", "1001", "-1", "3.0", "٣"])
def test_start_says_what_to_do_about_a_note_that_is_none(
    make_service: Callable[..., VaultService], origin: Origin, noted: str
) -> None:
    with pytest.raises(VaultError, match="vaultctl scale files --replicas N"):
        changes.start(stored_with(make_service, origin, noted, replicas=0))


def test_undo_sets_what_the_chosen_revision_was_made_of(
    make_service: Callable[..., VaultService], origin: Origin
) -> None:
    stored = StoredObject(make_service(env={"TAG": "2"}), origin)
    earlier = make_service(env={"TAG": "1"})
    records = [
        RevisionRecord(
            name="files",
            number=number,
            revision=f"v1-{number}",
            spec=spec.model_dump_json(by_alias=True),
            cause="spec",
            commit="",
            created_at=NOW,
            result="Complete",
            finished_at=NOW,
        )
        for number, spec in enumerate((earlier.spec, stored.resource.spec), 1)
    ]
    change = changes.undo(stored, records, None)
    assert change.fields == {"env.TAG": "1"}
    assert change.subject({}) == "undo(files): back to revision 1"
    with pytest.raises(VaultError, match="there is no revision 7; there are 1, 2"):
        changes.undo(stored, records, 7)
