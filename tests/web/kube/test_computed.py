"""What is computed for an answer: viewers cannot have the engine, registries or DNS asked as often as they like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest

from reconciler.api import TemporaryError
from tests.web.kube.in_process import InProcess

BASE = "/apis/vault.internal/v1alpha1"
IMAGES = f"{BASE}/namespaces/default/images"


def test_a_viewer_does_not_have_a_registry_asked_again_and_again(tmp_path: Path) -> None:
    with InProcess(tmp_path) as api:
        answers = [api.call("GET", IMAGES, headers=api.login("view")) for _ in range(20)]
        assert {each.code for each in answers} == {200}
        (name, *_) = [each["metadata"]["name"] for each in json.loads(answers[0].content)["items"]]
        for _ in range(20):
            assert api.call("GET", f"{IMAGES}/{name}", headers=api.login("view")).code == 200
        assert api.registries.asked
        assert len(api.registries.asked) == len(set(api.registries.asked))


def test_a_gateway_without_hosts_has_no_certificate_to_renew(tmp_path: Path) -> None:
    with InProcess(tmp_path) as api:
        path = f"{BASE}/namespaces/default/certificates/front.0000000000/renewal"
        headers = [(b"content-type", b"application/json"), *api.login("edit")]
        assert api.call("POST", path, b"", headers, b"{}").code == 404
        assert api.call("POST", path, b"", headers, b'{"spec": {"more": 1}}').code == 422
        assert api.call("POST", path.replace("default", "other"), b"", headers, b"{}").code == 404


def test_what_doctor_says_hides_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> NoReturn:
        raise TemporaryError("the engine says hunter22hunter")

    with InProcess(tmp_path) as api:
        monkeypatch.setattr(api.application.engine, "info", away)
        api.application.secrets.learn("files", ["hunter22hunter"])
        answer = api.call("GET", f"{BASE}/findings", headers=api.login("admin"))
    assert b"the engine says" in answer.content
    assert b"hunter22hunter" not in answer.content
