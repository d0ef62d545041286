"""The page of a real controller in a real browser: what is seen is what runs, what is done is a commit of its user."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import canary
from tests.e2e.docker_cli import docker
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import PATIENCE
from tests.web.ui.apart import chromium_apart
from tests.web.ui.chromium import log_in, opened
from tests.web.ui.people import PASSWORD

pytestmark = [pytest.mark.docker, pytest.mark.turns]


def git(where: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@contextmanager
def page_of(stage: Stage) -> Iterator[Page]:
    """The page of a service whose manifests are in Git, where anna is logged in, while its controller runs."""
    git(stage.manifests, "init", "--quiet", "--initial-branch=main")
    git(stage.manifests, "add", ".")
    git(stage.manifests, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--message=begin")
    stage.env["VAULT_UI"] = f"127.0.0.1:{free_port()}"
    stage.vaultctl("user", "set-password", "anna", "--stdin", input=f"{PASSWORD}\n")
    with stage.controller(), chromium_apart() as browser, opened(browser) as window:
        window.context.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        stage.converged()
        url = f"https://{stage.env['VAULT_UI']}"
        log_in(window, url, "anna")
        window.page.get_by_role("link", name=stage.name).click()
        window.page.wait_for_url(f"{url}/service/{stage.name}")
        yield window.page
        assert not canary.seen_in(window.page.content())
        assert [each for each in window.troubles if "ERR_NETWORK_CHANGED" not in each] == []


def confirm(page: Page, stage: Stage, title: str) -> None:
    """Confirm a preview, and go back to the service."""
    page.get_by_role("button", name=f"{title} {stage.name}").click()
    expect(page.get_by_role("status").filter(has_text="Commit")).to_be_visible()
    page.get_by_role("link", name=f"Follow {stage.name}").click()


def serving(page: Page, count: int) -> None:
    """Wait until so many replicas serve, and there are no others."""
    states = page.locator("#now [aria-label=Replicas] tbody .state")
    expect(page.locator("#now [aria-label=Replicas] tbody .state.serving")).to_have_count(count)
    expect(states).to_have_count(count)


def test_what_is_done_in_a_directory_is_a_commit_and_what_dies_is_seen(stage: Stage) -> None:
    with page_of(stage) as page:
        serving(page, 3)
        page.get_by_role("link", name="Restart").click()
        expect(page.locator(".diff")).to_contain_text("restartedAt")
        # The plan of the change, before it is made.
        expect(page.locator("ol")).to_contain_text("create")
        page.get_by_role("button", name=f"Restart {stage.name}").click()
        page.get_by_role("link", name=f"Follow {stage.name}").click()
        expect(page.locator("#history tbody tr")).to_have_count(2)
        expect(page.locator("#history tbody tr").first).to_contain_text("Complete")
        serving(page, 3)

        page.get_by_role("link", name="Scale").click()
        page.get_by_label("Replicas").fill("4")
        page.get_by_role("button", name="Preview").click()
        confirm(page, stage, "Scale")
        serving(page, 4)

        before = page.locator("#now [aria-label=Replicas] tbody th").all_inner_texts()
        docker("rm", "--force", stage.replicas()[0])
        gone = page.locator("#now [aria-label=Replicas] tbody .state.serving")
        expect(gone).not_to_have_count(4)
        serving(page, 4)
        assert page.locator("#now [aria-label=Replicas] tbody th").all_inner_texts() != before
        said = git(stage.manifests, "log", "--format=%an: %s", "--reverse").splitlines()[1:]
        assert said[0].startswith(f"anna: restart({stage.name}): ")
        assert said[1:] == [f"anna: scale({stage.name}): replicas 3 -> 4"]
