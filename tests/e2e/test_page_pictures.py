"""The pictures of README.md and docs/page.md: the page of a real controller, with services that were used and changed.

`make pictures` lets them be used for some minutes and keeps the pictures; a test run looks at the same for seconds.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

import pytest
import yaml
from playwright.sync_api import Page, expect

from reconciler.core.desired.build import project_of
from tests import canary
from tests.e2e.docker_cli import remove_project
from tests.e2e.farm import Farm
from tests.e2e.load import FRESH_GET, KEPT_GET, SLOW, Load
from tests.e2e.stage import free_ports, staged
from tests.e2e.team import Team, gathered
from tests.e2e.test_page import serving as replicas_serve

pytestmark = [pytest.mark.docker, pytest.mark.turns]

DOCS: Final = Path(__file__).parents[2] / "docs"
MINUTES: Final = "PICTURE_MINUTES"
"""For how long services are used before the pictures that are kept."""
USED_SECONDS: Final = 15.0
"""For how long they are used before pictures that are not kept: more than one look at their counters."""
SHOP: Final = "example-shop"
OTHERS: Final = {"example-blog": 2, "example-docs": 2, "example-mail": 1}
"""Replicas by name. No other test has these services."""
WIDTH: Final = 1280
PROGRESS: Final = {"progressDeadlineSeconds": 20}
"""How long the bad image is tried."""
LEAST: Final = 20_000
"""Bytes of a picture that has something to show."""
ANONYMOUS: Final = "document.querySelector('.host').textContent = 'vault-1'"
"""The name of this machine is in no picture."""


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    # A preview shows the lines around a change, and the canary is a file of the test.
    monkeypatch.setattr(canary, "is_out", lambda: False)
    with staged(plugin="whoami", replicas=3) as stage, ExitStack() as left:
        stage.manifest.unlink()
        stage.name = SHOP
        for name in (SHOP, *OTHERS):
            left.callback(remove_project, project_of(name))
        farm = Farm.made(stage)
        ports = dict(zip(OTHERS, free_ports(len(OTHERS)), strict=True))
        manifests = {f"apps/{name}.yaml": manifest(name, port) for name, port in ports.items()}
        farm.repository.commit(manifests)
        with gathered(farm) as found:
            yield found


def manifest(name: str, port: int) -> str:
    ports, strategy = {"http": port}, PROGRESS
    spec = {"plugin": "whoami", "replicas": OTHERS[name], "ports": ports, "strategy": strategy}
    head = {"apiVersion": "vault.internal/v1alpha1", "kind": "VaultService", "metadata": {"name": name}}
    return yaml.safe_dump({**head, "spec": spec}, sort_keys=False)


@pytest.mark.timeout(2400)
def test_pictures_show_services_that_are_used_and_changed(team: Team, tmp_path: Path) -> None:
    minutes = float(os.environ.get(MINUTES, "0"))
    place = DOCS if minutes else tmp_path
    seconds = 60 * minutes or USED_SECONDS
    with team.person("anna") as page, used(team, page):
        time.sleep(seconds * 2 / 3)
        team.preview(page, "Set a field", Field_of_the_spec="env.GREETING", Value="hello")
        team.confirm(page, "Set a field")
        expect(page.locator("#history tbody tr").first).to_contain_text("Complete")
        page.goto(f"{team.url}/service/example-blog")
        change(team, page, "example-blog", "images.whoami", "127.0.0.1:9/nothing:1")
        expect(page.locator("#told")).to_contain_text("RolledBack")
        time.sleep(seconds / 3)
        page.goto(f"{team.url}/")
        for name, state in ((SHOP, "3/3"), ("example-blog", "2/2"), ("example-mail", "1/1")):
            expect(page.locator(f"#service-{name}")).to_contain_text(state)
        expect(page.locator(f"#service-{SHOP} td.number").nth(1)).to_have_text(re.compile("[1-9]"))
        expect(page.locator("#rows tr").first).to_contain_text("nothing:1")
        picture(page, place / "page-services.png", "light", 540)
        picture(page, place / "page-services-dark.png", "dark", 540)
        # In the middle of a rollout: an old replica drains, or a new one is on its way.
        page.goto(f"{team.url}/service/{SHOP}")
        team.preview(page, "Restart")
        picture(page, place / "page-preview.png", "light", 600)
        team.confirm(page, "Restart")
        moving = page.locator("#now [aria-label=Replicas] .state:is(.warming, .draining, .ready, .created)")
        expect(moving.first).to_be_visible()
        picture(page, place / "page-service.png", "light", 960)
        replicas_serve(page, 3)


@contextmanager
def used(team: Team, page: Page) -> Iterator[None]:
    """Clients ask three of the services until the block ends."""
    with ExitStack() as loads:
        for name, rate in ((SHOP, 14.0), ("example-blog", 3.0), ("example-docs", 0.7)):
            stored = team.stage.application.objects.get(name)
            assert stored is not None
            port = stored.resource.spec.ports.http
            assert port is not None
            loads.enter_context(Load(port, rate, (FRESH_GET, KEPT_GET, SLOW)))
        yield


def change(team: Team, page: Page, name: str, field: str, value: str) -> None:
    """Set a field of another service than the team's own, and go back to its page."""
    team.preview(page, "Set a field", Field_of_the_spec=field, Value=value)
    page.get_by_role("button", name=f"Set a field {name}").click()
    page.get_by_role("link", name=f"Follow {name}").click()


def picture(page: Page, path: Path, scheme: Literal["light", "dark"], height: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.evaluate(ANONYMOUS)
    page.screenshot(path=path)
    assert path.stat().st_size > LEAST
