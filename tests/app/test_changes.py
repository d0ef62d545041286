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
