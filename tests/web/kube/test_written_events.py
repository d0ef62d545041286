"""Who has written an object is one of its events, as long as it says something new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.kube.in_process import InProcess

FILES = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices/files"
EVENTS = "/api/v1/namespaces/default/events"
POD = "/api/v1/namespaces/default/pods/vault-files-web-1"
MERGE = [(b"content-type", b"application/merge-patch+json")]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[InProcess]:
    with InProcess(tmp_path) as made:
        yield made


def patch(api: InProcess, role: str, path: str = FILES, query: bytes = b"", replicas: int = 3) -> int:
    body = json.dumps({"spec": {"replicas": replicas}}).encode()
    return api.call("PATCH", path, query, [*MERGE, *api.login(role)], body).code


def events(api: InProcess) -> list[tuple[str, str, int]]:
    """Reason, message and count of each event about writes."""
    answer = api.call("GET", EVENTS, headers=api.login("view"))
    found = [each for each in json.loads(answer.content)["items"] if each["reason"].startswith("Writ")]
    return [(each["reason"], each["message"], each["count"]) for each in found]


def test_a_write_is_an_event_and_the_same_one_is_counted(api: InProcess) -> None:
    for replicas in range(2, 42):
        assert patch(api, "edit", replicas=replicas) == 200
    ((reason, message, count),) = events(api)
    assert (reason, count) == ("Written", 40)
    assert message.startswith("patch of vaultservices.vault.internal by edit (token ")
    assert message.endswith(", role edit) from 127.0.0.1")


def test_what_a_role_may_not_is_an_event_and_a_dry_run_is_none(api: InProcess) -> None:
    assert patch(api, "edit", query=b"dryRun=All") == 200
    assert patch(api, "edit", replicas=-1) == 422
    assert events(api) == []
    assert patch(api, "view") == 403
    ((reason, message, count),) = events(api)
    assert (reason, count) == ("WriteRefused", 1)
    assert ", role view) " in message


@pytest.mark.parametrize("query", [b"", b"dryRun=All"])
def test_an_event_is_answered_as_it_was_understood(api: InProcess, query: bytes) -> None:
    about = {"kind": "VaultService", "name": "files", "more": 1}
    sent = {
        "involvedObject": about,
        "type": "Normal",
        "reason": "Saved",
        "message": "m",
        "count": "x",
        "other": [1],
    }
    answer = api.call("POST", EVENTS, query, api.login("edit"), json.dumps(sent).encode())
    document = json.loads(answer.content)
    assert answer.code == 201
    assert (document["reason"], document["count"]) == ("Saved", 1)
    assert "other" not in document
    assert "more" not in document["involvedObject"]


def test_names_that_are_made_up_are_no_events(api: InProcess) -> None:
    for number in range(5):
        assert patch(api, "view", f"{FILES}-{number}") == 403
    assert events(api) == []


def test_the_deletion_of_a_pod_is_an_event_of_its_object(api: InProcess) -> None:
    api.call("GET", POD, headers=api.login("view"))
    assert api.call("DELETE", POD, headers=api.login("admin")).code == 200
    ((reason, message, _),) = events(api)
    assert reason == "Written"
    assert message.startswith("delete of pods vault-files-web-1 by admin ")
