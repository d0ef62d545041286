"""Debian's Chromium, driven by Playwright: a page that says what it has asked for, and what went wrong in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from tests.web.ui.people import PASSWORD

__all__ = ["Window", "chromium", "log_in", "opened"]

ROOT: Final = Path(__file__).parents[3]
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
MILLISECONDS: Final = 60_000.0
TRIES: Final = 5
NO_PAGE: Final = "chrome-error:.*"


@cache
def program() -> str:
    """Its path."""
    done = subprocess.run(
        [ROOT / "scripts" / "chromium"], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, with an empty profile."""
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Window:
    """A window and what was heard of it: `troubles` are errors of its scripts and what its policy has refused, `asked` the
    addresses of all requests, `failed` those without an answer, `bytes` what was answered to the others.
    """

    page: Page
    context: BrowserContext
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    bytes: int = 0

    @property
    def lost_network(self) -> bool:
        """Whether Chromium has given up a request because the machine has got another network: Docker's, of other tests."""
        return any("ERR_NETWORK_CHANGED" in each for each in self.failed)

    def go(self, address: str) -> None:
        """Open an address."""
        for _ in range(TRIES):
            self.failed.clear()
            try:
                self.page.goto(address)
                return
            except Error:
                if not self.lost_network:
                    raise
        raise AssertionError(f"{address} cannot be opened: {self.failed}")


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Window]:
    """A window of its own: it shares no cookie with others."""
    context = browser.new_context(ignore_https_errors=True, **options)
    context.set_default_timeout(MILLISECONDS)
    page = context.new_page()
    window = Window(page, context)

    def answered(response: Any) -> None:
        window.bytes += int(response.headers.get("content-length", 0))

    page.on("pageerror", lambda error: window.troubles.append(str(error)))
    page.on(
        "console", lambda message: window.troubles.append(message.text) if message.type == "error" else None
    )
    page.on("request", lambda request: window.asked.append(request.url))
    page.on("requestfailed", lambda request: window.failed.append(f"{request.url}: {request.failure}"))
    page.on("response", answered)
    try:
        yield window
    finally:
        context.close()


def log_in(window: Window, url: str, name: str, password: str = PASSWORD) -> None:
    """Log in by the form, and arrive at the first page."""
    for _ in range(TRIES):
        window.failed.clear()
        try:
            window.page.goto(f"{url}/login")
            window.page.get_by_label("Name").fill(name)
            window.page.get_by_label("Password").fill(password)
            window.page.get_by_role("button", name="Log in").click()
            window.page.wait_for_url(re.compile(rf"{re.escape(url)}/|{NO_PAGE}"))
        except Error:
            if not window.lost_network:
                raise
        if window.page.url == f"{url}/":
            window.troubles.clear()
            return
    raise AssertionError(f"no login at {url}; failed: {window.failed}")
