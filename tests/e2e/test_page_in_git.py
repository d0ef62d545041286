"""The page of a controller that follows a Git server, in a real browser: what is seen was told by an event."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import canary
from tests.e2e.docker_cli import docker
from tests.e2e.farm import Farm
from tests.e2e.stage import Stage, free_port
from tests.e2e.test_page import serving as replicas_serve
from tests.e2e.waiting import PATIENCE
from tests.sources.git_repository import sh
from tests.sources.git_servers import serving
from tests.web.ui.apart import chromium_apart
from tests.web.ui.chromium import Window, log_in, opened
from tests.web.ui.people import PASSWORD

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.promise]

LOGIN: Final = "vault:password-of-the-git-server"

WATCH: Final = """() => {
  const serve = () => [...document.querySelectorAll('#now [aria-label=Replicas] tbody .state')]
    .filter((each) => each.classList.contains('serving')).length;
  const before = serve();
  window.seen = new Promise((tell) => {
    const look = () => { if (serve() < before) tell(performance.timeOrigin + performance.now()); };
    new MutationObserver(look).observe(document.getElementById('main'), {childList: true, subtree: true});
  });
}"""
"""From now on: when fewer replicas are seen to serve, in milliseconds of the machine's clock."""


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
            assert [each for each in window.troubles if "ERR_NETWORK_CHANGED" not in each] == []

    def visit(self, window: Window) -> None:
        window.go(f"{self.url}/service/{self.stage.name}")


@pytest.fixture
def team(stage: Stage) -> Iterator[Team]:
    """Nothing looks by itself more often than once an hour: all that is seen was told by an event."""
    farm = Farm.made(stage)
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


def test_a_killed_replica_is_seen_by_its_event(team: Team, record_property: object) -> None:
    """No look is due within an hour, so what is seen was told by the engine's event."""
    stage, seconds = team.stage, list[float]()
    with team.person("anna") as page:
        for _ in range(3):
            replicas_serve(page, 3)
            stage.converged()
            page.evaluate(WATCH)
            victim, began = stage.replicas()[0], time.time()
            docker("kill", victim)
            seconds.append(page.evaluate("window.seen") / 1000 - died_at(victim, began))
        replicas_serve(page, 3)
    record_property("seconds from a death to the page", seconds)  # type: ignore[operator]
    print(f"seconds from a death to the page: {', '.join(f'{each:.3f}' for each in seconds)}")


def died_at(container: str, since: float) -> float:
    """When a container died, in the words of the engine: Unix seconds."""
    words = ("--filter", f"container={container}", "--filter", "event=die", "--format", "{{.TimeNano}}")
    said = docker("events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", *words)
    return int(said.splitlines()[0]) / 1e9
