"""Who may do what, beyond what kubectl shows: a client acts as itself alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.web.kube.in_process import InProcess

FILES = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices/files"


@pytest.mark.parametrize("header", [b"impersonate-user", b"impersonate-group", b"impersonate-extra-a"])
@pytest.mark.parametrize("role", ["view", "admin"])
def test_to_act_as_another_user_is_refused(tmp_path: Path, role: str, header: bytes) -> None:
    """An answer for the client itself would say that the other one may do what the client may."""
    with InProcess(tmp_path) as api:
        answer = api.call("GET", FILES, b"", [(header, b"anna"), *api.login(role)])
    assert (answer.code, json.loads(answer.content)["reason"]) == (403, "Forbidden")
