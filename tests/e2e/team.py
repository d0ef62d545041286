"""People who share the page of a controller that follows a Git server, each in a browser."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Browser, Page, expect

from tests import canary
from tests.e2e.farm import Farm
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import PATIENCE
from tests.sources.git_repository import sh
from tests.sources.git_servers import serving
from tests.web.ui.apart import chromium_apart
from tests.web.ui.chromium import Window, log_in, opened
from tests.web.ui.people import PASSWORD

LOGIN: Final = "vault:password-of-the-git-server"
HARMLESS: Final = ("ERR_NETWORK_CHANGED", "409 (Conflict)")
"""What a browser reports although nothing is wrong: a preview that is out of date is answered with 409."""


@dataclass
class Team:
    """A service of a Git server, its controller with a page, and a browser for each of two people."""

    farm: Farm
    browser: Browser
    url: str

    @property
    def stage(self) -> Stage:
        return self.farm.stage

    @contextmanager
    def person(self, name: str) -> Iterator[Page]:
        """A browser of a person, with the page of the service open."""
        with opened(self.browser) as window:
            window.context.set_default_timeout(PATIENCE * 1000)
            log_in(window, self.url, name)
            self.visit(window)
            yield window.page
            assert not canary.seen_in(window.page.content())
            assert [each for each in window.troubles if not any(word in each for word in HARMLESS)] == []

    def visit(self, window: Window) -> None:
        window.go(f"{self.url}/service/{self.stage.name}")

    def log(self) -> list[str]:
        """Author and subject of the commits on the server, the oldest first."""
        form = "--format=%an <%ae> by %cn: %s"
        return sh("git", "log", "--reverse", form, "main", cwd=self.farm.repository.bare).splitlines()

    def preview(self, page: Page, action: str, **fields: str) -> None:
        """Ask for an action, and for its preview if it has a form."""
        page.get_by_role("link", name=action, exact=True).first.click()
        for label, text in fields.items():
            page.get_by_label(label.replace("_", " ")).fill(text)
        if fields:
            page.get_by_role("button", name="Preview").click()
        expect(page.locator(".diff")).to_be_visible()

    def confirm(self, page: Page, title: str) -> None:
        """Confirm a preview, see the commit, and go back to the service."""
        page.get_by_role("button", name=f"{title} {self.stage.name}").click()
        expect(page.get_by_role("status").filter(has_text="(pushed)")).to_be_visible()
        commit = sh("git", "rev-parse", "main", cwd=self.farm.repository.bare)
        expect(page.get_by_role("status").filter(has_text=commit[:8])).to_be_visible()
        page.get_by_role("link", name=f"Follow {self.stage.name}").click()

    def did(self, who: str, what: str) -> str:
        return f"{who} <{who}@localhost> by vault-reconciler: {what}"


@contextmanager
def gathered(farm: Farm) -> Iterator[Team]:
    """The team of a farm: anna is an admin, ben may edit. Nothing looks by itself more often than once an hour."""
    stage = farm.stage
    sh("git", "config", "http.receivepack", "true", cwd=farm.repository.bare)
    stage.env["VAULT_UI"] = f"127.0.0.1:{free_port()}"
    for name, role in (("anna", "admin"), ("ben", "edit")):
        words = ("user", "set-password", name, "--role", role, "--stdin")
        stage.vaultctl(*words, input=f"{PASSWORD}\n")
    with serving(stage.root, b64encode(LOGIN.encode()).decode()) as git:
        store = stage.root / "credentials"
        store.write_text(f"{git.replace('//', f'//{LOGIN}@')}\n")
        store.chmod(0o600)
        options = ("--git-credentials", str(store), "--resync", "1h")
        with farm.controller(f"{git}/infra.git", *options), chromium_apart() as browser:
            expect.set_options(timeout=PATIENCE * 1000)
            stage.converged()
            yield Team(farm, browser, f"https://{stage.env['VAULT_UI']}")
