"""Every answer forbids frames, code in pages and other hosts, also one to a mistake or of a defect."""

from __future__ import annotations

import pytest

from reconciler.web.ui import overview
from tests.web.ui.people import House

WANTED = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.mark.parametrize(
    ("path", "code"),
    [("/", 200), ("/login", 303), ("/static/page.js", 200), ("/nowhere", 404), ("/logout", 405)],
)
def test_each_answer_has_the_policy(home: House, path: str, code: int) -> None:
    answer = home.browser("admin").get(path)
    assert answer.status_code == code
    assert set(answer.headers["content-security-policy"].split("; ")) == WANTED
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


def test_a_page_is_stored_nowhere_and_its_files_are(home: House) -> None:
    browser = home.browser("admin")
    assert browser.get("/").headers["cache-control"] == "no-store"
    assert browser.get("/static/page.js").headers["cache-control"].startswith("private")


def test_a_defect_is_told_without_its_details(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = home.browser("admin")
    browser.is_strict = False

    def fail(*_: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(overview, "rows_of", fail)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
