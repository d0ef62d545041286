"""Which records of the audit log are events, of what, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.reasons import Reason
from reconciler.app.cluster.audited import told

FILES = Ref(VAULT_SERVICE, "files")
RECORD = {
    "time": "2026-05-01T12:00:00+00:00",
    "user": "anna",
    "way": "token",
    "token": "1a2b3c",
    "role": "edit",
    "client": "10.0.0.7",
    "verb": "patch",
    "resource": "vaultservices.vault.internal",
    "name": "files",
    "dryRun": False,
    "stage": "done",
    "code": 200,
    "reason": "",
}


def owner(name: str) -> Ref | None:
    return FILES if name == "vault-files-web-1" else None


def test_a_write_says_who_did_what_from_where() -> None:
    event = told(RECORD, owner)
    assert event is not None
    assert (event.ref, event.type, event.reason) == (FILES, "Normal", Reason.WRITTEN)
    assert event.message == (
        "patch of vaultservices.vault.internal by anna (token 1a2b3c, role edit) from 10.0.0.7"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"resource": "vaultservices.vault.internal/scale"},
            "patch of vaultservices.vault.internal/scale by anna",
        ),
        ({"verb": "create", "code": 201}, "create of vaultservices.vault.internal by anna"),
        (
            {"verb": "create", "resource": "pods/exec", "name": "vault-files-web-1", "code": 101},
            "create of pods/exec vault-files-web-1 by anna",
        ),
        (
            {"way": "oidc", "oidc": "https://id.example.org", "role": "", "code": 403},
            "patch of vaultservices.vault.internal by anna (oidc https://id.example.org, role none)",
        ),
    ],
)
def test_other_writes(changes: dict[str, Any], said: str) -> None:
    event = told({**RECORD, **changes}, owner)
    assert event is not None
    assert event.ref == FILES
    assert event.message.startswith(said)
    assert event.type == ("Warning" if changes.get("code") == 403 else "Normal")


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "asked", "code": None},
        {"dryRun": True},
        {"code": 409},
        {"code": 422},
        {"code": 500},
        {"name": ""},
        {"resource": "events"},
        {"resource": "pods", "name": "of-another"},
    ],
)
def test_what_is_no_event(changes: dict[str, Any]) -> None:
    assert told({**RECORD, **changes}, owner) is None
