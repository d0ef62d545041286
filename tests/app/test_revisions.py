"""What history and undo say of revisions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.api import Spec, VaultError
from reconciler.app.revisions import changed_fields, changes_back_to, choose, redacted
from reconciler.store.base import Result, RevisionRecord

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def record(number: int, result: Result = "Complete", revision: str = "", **fields: Any) -> RevisionRecord:
    spec = Spec.model_validate({"plugin": "files", **fields})
    text = spec.model_dump_json(by_alias=True)
    return RevisionRecord(
        *("files", number, revision or f"v1-{number}", text, "spec", "", NOW, result, None),
    )


@pytest.mark.parametrize(
    ("then", "now", "changes"),
    [
        ({"env": {"TAG": "1"}}, {"env": {"TAG": "2"}}, {"env.TAG": "1"}),
        ({}, {"env": {"TAG": "2"}}, {"env.TAG": None}),
        ({"healthcheck": {"path": "/a"}}, {"healthcheck": {"path": "/b"}}, {"healthcheck.path": "/a"}),
        ({"ports": {"container": 1}}, {"ports": {"container": 2, "http": 9000}}, {"ports.container": 1}),
        ({}, {"restartedAt": "2026-05-01T12:00:00Z"}, {"restartedAt": None}),
        ({"replicas": 1, "suspend": True}, {"replicas": 2, "proxy": {"replicas": 2}}, {}),
    ],
)
def test_going_back_sets_what_the_revision_was_made_of(
    then: dict[str, Any], now: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert changes_back_to(record(1, **then), Spec.model_validate({"plugin": "files", **now})) == changes


def test_a_list_has_to_be_changed_in_the_manifest() -> None:
    then = record(3, envFrom=[{"file": "a.env"}])
    with pytest.raises(VaultError, match="revision 3 had another envFrom"):
        changes_back_to(then, Spec(plugin="files"))


def test_the_newest_complete_revision_before_the_present_one_is_chosen() -> None:
    records = [record(1), record(2), record(3, "RolledBack"), record(4)]
    assert choose(records, None).number == 2
    assert choose(records, 1).number == 1
    with pytest.raises(VaultError, match="no revision 9; there are 1, 2, 3, 4"):
        choose(records, 9)
    with pytest.raises(VaultError, match="no complete revision"):
        choose(records[:1], None)


def test_what_a_revision_changed_is_told_by_names_of_fields() -> None:
    before, after = record(1, env={"A": "secret"}), record(2, env={"A": "other"}, replicas=2)
    assert changed_fields(None, before) == ["first"]
    assert changed_fields(before, after) == ["env.A", "replicas"]


def test_back_to_what_a_compose_file_said_is_one_field() -> None:
    file = {"file": "/srv/compose.yaml", "port": 80}
    before = record(1, plugin="compose", compose={**file, "content": "v1-0123456789ab"})
    after = record(2, plugin="compose", compose={**file, "content": "v1-ba9876543210"})
    present = Spec.model_validate({"plugin": "compose", "compose": file})
    assert changed_fields(before, after) == ["compose.content"]
    assert changes_back_to(before, present) == {"compose.content": "v1-0123456789ab"}


def test_the_text_of_a_compose_file_is_not_shown() -> None:
    shown = redacted(json.loads(record(1, plugin="compose", compose={"inline": "secret", "web": "a"}).spec))
    assert (shown["compose"]["inline"], shown["compose"]["web"]) == ("…", "a")
