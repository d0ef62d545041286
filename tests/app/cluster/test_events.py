"""Events of the history become documents whose names are stable, and whose subjects clients find by their uid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.cluster.events import KIND, MAX_MESSAGE, Posted, event_documents, posted
from reconciler.app.cluster.written import InvalidError
from reconciler.store.base import Event

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EVENT = Event("VaultService", "files", "Normal", "RolloutComplete", "3 of 3", "", "", 1, NOW, NOW)


def test_the_same_event_again_is_the_same_document_with_a_higher_count() -> None:
    again = replace(EVENT, count=2, last_time=NOW + timedelta(minutes=1))
    ((first, _),) = event_documents((EVENT,), {}, "host").items()
    ((second, document),) = event_documents((again,), {}, "host").items()
    assert first == second
    assert first[0] == KIND
    assert (document["count"], document["lastTimestamp"]) == (2, "2026-05-01T12:01:00Z")


def test_the_subject_is_the_object_with_its_uid() -> None:
    (document,) = event_documents((EVENT,), {("VaultService", "files"): "u1"}, "host").values()
    assert document["involvedObject"] == {
        "kind": "VaultService",
        "namespace": "default",
        "name": "files",
        "apiVersion": "vault.internal/v1alpha1",
        "uid": "u1",
    }


def test_an_event_of_the_machine_is_about_its_node() -> None:
    (document,) = event_documents((replace(EVENT, kind="", name=""),), {}, "host").values()
    assert document["involvedObject"] == {"kind": "Node", "name": "host", "apiVersion": "v1"}


def test_events_of_the_same_name_and_other_kinds_have_names_of_their_own() -> None:
    assert len(event_documents((EVENT, replace(EVENT, kind="VaultGateway")), {}, "host")) == 2


SENT: dict[str, Any] = {
    "involvedObject": {"kind": "VaultService", "name": "files", "namespace": "default"},
    "type": "Normal",
    "reason": "BackupComplete",
    "message": "the volumes are backed up",
}


def test_what_a_client_posts_is_read() -> None:
    files = Ref(VAULT_SERVICE, "files")
    assert posted(SENT) == Posted(files, "Normal", "BackupComplete", "the volumes are backed up")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"involvedObject": None}, "involvedObject.kind"),
        ({"involvedObject": {"kind": "Node", "name": "here"}}, "involvedObject.kind"),
        ({"involvedObject": {"kind": "VaultService"}}, "involvedObject.name"),
        ({"involvedObject": {**SENT["involvedObject"], "namespace": "other"}}, "involvedObject.namespace"),
        ({"type": "Loud"}, "type"),
        ({"type": ["Normal"]}, "type"),
        ({"reason": "two words"}, "reason"),
        ({"reason": "x" * 129}, "reason"),
        ({"message": ""}, "message"),
        ({"message": "x" * (MAX_MESSAGE + 1)}, "message"),
        ({"message": 5}, "message"),
    ],
)
def test_what_is_no_event_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        posted({**SENT, **change})
    assert field in [each.field for each in caught.value.mistakes]
