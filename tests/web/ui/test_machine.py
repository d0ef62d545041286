"""The pages about the host show routes, certificates, findings, sources and users, each to those who may see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from metrics.snapshots import QueueSnapshot, SourceSnapshot
from reconciler.api.reasons import Reason
from reconciler.app.checkup.finding import fail, ok
from reconciler.app.routes import RouteLine
from reconciler.controller.report.summary import after_failure
from reconciler.web.ui.app import create_app
from tests.web.ui.people import Browser, House

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
PLAIN = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: plain}
spec: {plugin: whoami, ports: {http: 8191}}
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


def test_a_service_has_its_own_routes_with_what_is_in_their_way(home: House) -> None:
    browser = home.browser("view")
    home.apply(GATEWAY)
    text = browser.get("/service/lost").text
    assert '<section id="routes">' in text
    assert "lost.example.org" in text
    assert 'state failed">' in text.partition('<section id="routes">')[2].partition("</section>")[0]
    assert "files.example.org" not in text
    home.apply(PLAIN)
    assert '<section id="routes" hidden>' in browser.get("/service/plain").text


def test_a_service_has_the_days_of_its_certificates(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    home.apply(GATEWAY)
    row = SimpleNamespace(not_after=home.site.now() + timedelta(days=9, hours=1), trouble="")
    line = RouteLine(
        "files.example.org",
        "/",
        None,
        "files",
        "main",
        "r",
        "Serving",
        "",
        SimpleNamespace(row=row, state="Valid"),  # type: ignore[arg-type]
    )
    monkeypatch.setattr("reconciler.web.ui.service.routes_of", lambda *_: ([line], []))
    assert '<td class="warn">Valid, 9 days</td>' in home.browser("view").get("/service/files").text


@pytest.fixture
def _healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.web.ui.machine.examine", lambda *_: iter(()))


def host(home: House, **parts: Any) -> str:
    """The page, as an admin sees it, of a site with these parts."""
    browser = Browser(create_app(replace(home.site, **parts)))
    assert browser.log_in("admin").status_code == 303
    return browser.get("/host").text


def followed(signer: str = "", *, refused: bool = False) -> SimpleNamespace:
    """A branch at commit 0123."""
    held = SimpleNamespace(commit="main@sha1:0123")
    journal = SimpleNamespace(snapshot=lambda: SourceSnapshot(name="infra", refused=refused))
    return SimpleNamespace(
        source=SimpleNamespace(place="https://git.test/infra", held=held, signer=signer), journal=journal
    )


@pytest.mark.usefixtures("_healthy")
def test_branches_have_their_commit_and_who_signed_it(home: House) -> None:
    text = host(home, followed=[followed("anna <anna@example.org>")])
    assert "main@sha1:0123" in text
    assert "anna &lt;anna@example.org&gt;" in text
    assert "not checked" in host(home, followed=[followed()])
    assert "its commit is refused" not in text
    assert "its commit is refused" in host(home, followed=[followed(refused=True)])


@pytest.mark.usefixtures("_healthy")
def test_queues_are_shown(home: House) -> None:
    queue = QueueSnapshot(
        name="vaultservice", depth=37, workers=4, active_workers=2, longest_running_seconds=8.25
    )
    text = host(home, queues=lambda: (queue,))
    for part in ("vaultservice", ">37<", ">2<", ">4<", "8.2 s"):
        assert part in text


@pytest.mark.usefixtures("_healthy")
def test_what_admission_refuses_is_shown_and_nothing_else(home: House) -> None:
    home.apply(GATEWAY)
    objects, now = home.application.objects, home.site.now()
    for name, reason in (("files", Reason.ADMISSION), ("lost", Reason.IMAGE_MISSING)):
        status = after_failure(objects.status(name), 1, reason, f"{name} <wants> a lot", now, stalled=True)
        objects.put_status(name, status)
    text = host(home)
    assert "files &lt;wants&gt; a lot" in text
    assert "lost &lt;wants&gt; a lot" not in text


@pytest.mark.usefixtures("_healthy")
def test_tokens_are_shown_without_their_secrets(home: House) -> None:
    ended = home.site.now() - timedelta(hours=1)
    kept, secret = home.site.tokens.create("ci", "edit", None)
    home.site.tokens.create("old", "view", ended)
    text = host(home)
    assert kept.id in text
    assert secret.rpartition("_")[2] not in text
    assert text.count("(ended)") == 1


def test_users_are_shown_to_admins_alone(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.web.ui.machine.examine", lambda *_: iter(()))
    for role, sees in (("view", False), ("edit", False), ("admin", True)):
        browser = home.browser(role)  # type: ignore[arg-type]
        text = browser.get("/host").text
        assert ("<h2>Users</h2>" in text) is sees
        assert ("<h2>Tokens of the Kubernetes API</h2>" in text) is sees
        assert "(this one)" in text
        assert "scrypt" not in text
