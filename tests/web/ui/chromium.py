"""Debian's Chromium, driven by Playwright: a page that says what it has asked for, and what went wrong in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page

from tests.web.ui.people import PASSWORD

__all__ = ["FLAGS", "WATCH", "Window", "log_in", "opened", "program"]

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
WATCH: Final = """() => {
  const serve = () => document.querySelectorAll('#now [aria-label=Replicas] tbody .state.serving').length;
  const before = serve();
  window.seen = new Promise((tell) => {
    const look = () => { if (serve() < before) tell(performance.timeOrigin + performance.now()); };
    new MutationObserver(look).observe(document.getElementById('main'), {childList: true, subtree: true});
  });
}"""
"""On the page of a service: `window.seen` is when fewer replicas are shown to serve than now, in milliseconds of the
machine's clock.
"""


@cache
def program() -> str:
    """Its path."""
    done = subprocess.run(
        [ROOT / "scripts" / "chromium"], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@dataclass
class Window:
    """A window and what was heard of it: `troubles` are errors of its scripts and what its policy has refused, `asked` the
    addresses of all requests, `bytes` what was answered to the others.
    """

    page: Page
    context: BrowserContext
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    bytes: int = 0

    def go(self, address: str) -> None:
        """Open an address."""
        self.page.goto(address)


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
    page.on("response", answered)
    try:
        yield window
    finally:
        context.close()


def log_in(window: Window, url: str, name: str, password: str = PASSWORD) -> None:
    """Log in by the form, and arrive at the first page."""
    window.page.goto(f"{url}/login")
    window.page.get_by_label("Name").fill(name)
    window.page.get_by_label("Password").fill(password)
    window.page.get_by_role("button", name="Log in").click()
    window.page.wait_for_url(f"{url}/")
    window.troubles.clear()
