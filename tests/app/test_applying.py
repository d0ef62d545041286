"""What is stored is wanted from now on, and what that changed is told in one word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.api import VaultService
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.applying import apply, overrules
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
FILES = Ref(VAULT_SERVICE, "files")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_the_word_says_what_changed(objects: ObjectStore, make_service: MakeService, origin: Origin) -> None:
    news = [apply(objects, make_service(replicas=count), origin, NOW).news for count in (2, 2, 3)]
    assert news == ["created", "unchanged", "configured"]


def test_what_is_unchanged_is_asked_for_again(
    objects: ObjectStore, make_service: MakeService, origin: Origin
) -> None:
    first = apply(objects, make_service(), origin, NOW).stored
    again = apply(objects, make_service(), origin, NOW.replace(hour=13)).stored
    assert first.requested_at != again.requested_at
    assert first.generation == again.generation


def test_an_object_of_a_source_is_not_overruled_in_silence(
    objects: ObjectStore, make_service: MakeService, origin: Origin
) -> None:
    assert overrules(objects, FILES) == ""
    objects.apply(make_service(), replace(origin, kind="directory", place="/srv/manifests"))
    assert "comes from /srv/manifests: a controller that follows it will undo" in overrules(objects, FILES)
    objects.apply(make_service(), origin)
    assert overrules(objects, FILES) == ""


@pytest.mark.parametrize("lost", ["object.json", "object.copy.json"])
def test_a_damaged_object_is_replaced(
    objects: ObjectStore, make_service: Callable[..., VaultService], origin: Origin, lost: str
) -> None:
    apply(objects, make_service(), origin, NOW)
    for file in ("object.json", lost):
        (objects.directory("files") / file).write_text("{")
    assert overrules(objects, make_service().ref) == ""
    assert apply(objects, make_service(), origin, NOW).news in ("configured", "created")
    assert apply(objects, make_service(), origin, NOW).news == "unchanged"
