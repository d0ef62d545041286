"""Secrets are hidden for the service that they belong to, and for all where a text is about none."""

from __future__ import annotations

import time

import pytest

from reconciler.controller import secrets as module
from reconciler.controller.secrets import Secrets
from reconciler.core.redaction import MASK


def test_a_service_hides_its_own_and_what_is_about_none_hides_all() -> None:
    secrets = Secrets()
    secrets.learn("one", ["correct-horse"])
    secrets.learn("two", ["battery-staple"])
    text = "correct-horse battery-staple"
    assert secrets.hide(text, "one") == f"{MASK} battery-staple"
    assert secrets.hide(text, "three") == text
    assert secrets.hide(text) == f"{MASK} {MASK}"


def test_a_secret_of_before_stays_hidden() -> None:
    """Containers that were started with it may still speak."""
    secrets = Secrets()
    secrets.learn("one", ["correct-horse"])
    secrets.learn("one", ["battery-staple"])
    assert secrets.hide("correct-horse battery-staple", "one") == f"{MASK} {MASK}"


def test_a_secret_in_use_stays_hidden_however_often_another_one_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    secrets = Secrets()
    for number in range(10):
        secrets.learn("one", ["correct-horse", f"battery-{number}"])
        assert secrets.hide(f"correct-horse battery-{number}", "one") == f"{MASK} {MASK}"
    assert secrets.hide("battery-5 battery-6", "one") == f"battery-5 {MASK}"


def test_a_name_that_is_told_anyway_stays_readable() -> None:
    """A mask in the place of a workload's name would say what the value is."""
    secrets = Secrets()
    secrets.learn("one", ["postgres", "correct-horse"])
    secrets.learn("one", (), ["postgres-primary", "web"])
    assert secrets.hide("postgres-primary-1 says correct-horse", "one") == f"postgres-primary-1 says {MASK}"
    secrets.learn("one", ["postgres"])
    assert secrets.hide("postgres-primary-1", "one") == "postgres-primary-1"


def test_thousands_of_secrets_do_not_hold_up_a_line() -> None:
    secrets = Secrets()
    for service in range(300):
        secrets.learn(str(service), [f"secret-{service}-{each}-of-this-service" for each in range(5)])
    text = "one line of the log that holds nothing " * 10
    started = time.process_time()
    for _ in range(10):
        assert secrets.hide(text) == text
    assert (time.process_time() - started) / 10 < 0.25
