"""The pages about the host show routes, certificates, findings, sources and users, each to those who may see it."""

from __future__ import annotations

import pytest

from reconciler.app.checkup.finding import fail, ok
from tests.web.ui.people import House

GATEWAY = """\
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: main}
spec: {listeners: [{name: web, protocol: HTTP, port: 8190}]}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, route: {gateway: main, hostnames: [files.example.org]}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: lost}
spec: {plugin: whoami, route: {gateway: other, hostnames: [lost.example.org]}}
"""


def test_every_claimed_route_is_shown_with_its_service(home: House) -> None:
    home.apply(GATEWAY)
    text = home.browser("view").get("/routes").text
    assert "lost.example.org" in text
    assert "files.example.org" in text
    assert '<a href="/gateway/main">main</a>' in text
    assert '<a href="/service/files">files</a>' in text


def test_findings_are_shown_with_what_to_do_and_without_secrets(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.application.secrets.learn("files", ["hunter2"])
    found = [ok("clock", "is right"), fail("engine", "says hunter2 <i>", "start Docker")]
    monkeypatch.setattr("reconciler.web.ui.machine.examine", lambda *_: iter(found))
    text = home.browser("view").get("/host").text
    assert text.index("start Docker") < text.index("is right")
    assert "hunter2" not in text
    assert "&lt;i&gt;" in text


def test_users_are_shown_to_admins_alone(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.web.ui.machine.examine", lambda *_: iter(()))
    for role, sees in (("view", False), ("edit", False), ("admin", True)):
        browser = home.browser(role)  # type: ignore[arg-type]
        text = browser.get("/host").text
        assert ("<h2>Users</h2>" in text) is sees
        assert "(this one)" in text
        assert "scrypt" not in text
