"""A short campaign of each role over our own OpenAPI; `make fuzz` has 10,000 requests of each."""

from __future__ import annotations

import pytest

from reconciler.web.kube import access
from tests.fuzz.roles import WHO, ask_as

REQUESTS = 60


@pytest.mark.parametrize(("number", "role"), list(enumerate(WHO)), ids=map(str, WHO))
def test_answers_keep_to_the_schema_and_roles_to_what_they_may(number: int, role: str | None) -> None:
    report = ask_as(role, number, REQUESTS)
    assert not report.finds, "\n".join(report.finds)
    assert report.requests >= REQUESTS


def test_a_role_that_may_do_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "VERBS", dict.fromkeys(access.VERBS, access.VERBS["edit"]))
    report = ask_as("view", 0, REQUESTS)
    assert report.finds


def test_an_answer_outside_the_schema_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "review", lambda *_: {"kind": 7})
    report = ask_as("admin", 0, REQUESTS)
    assert any("ST108" in each for each in report.finds)
