"""A list has what is stored, in the order that was asked for, and may be looked at again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import Status, VaultService
from reconciler.api.kinds import Ref
from reconciler.app.finding import NotFoundError
from reconciler.app.listing import Seen, list_objects, look_up
from reconciler.store.base import Origin
from reconciler.store.history import HistoryStore
from reconciler.store.layout import OBJECT
from reconciler.store.object_view import ObjectViews
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def two(
    objects: ObjectStore, make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> ObjectStore:
    for name in ("files", "wiki"):
        objects.apply(make_service(name), origin)
    objects.put_status("wiki", make_status(Ready=("True", "Serving", "all serve")))
    return objects


def names(found: Mapping[Ref, Seen]) -> list[str]:
    return [ref.name for ref in found]


def test_all_are_listed_or_those_that_are_named(two: ObjectStore) -> None:
    assert names(look_up(two, [])) == ["files", "wiki"]
    assert names(look_up(two, ["wiki"])) == ["wiki"]
    with pytest.raises(NotFoundError, match="there is no VaultService 'mail'"):
        look_up(two, ["mail"])


def test_one_that_was_seen_before_may_be_gone(two: ObjectStore) -> None:
    known = look_up(two, ["files", "wiki"])
    two.remove("files")
    assert names(look_up(two, ["files", "wiki"], tuple(known))) == ["wiki"]


def test_what_is_the_same_is_equal(two: ObjectStore) -> None:
    assert look_up(two, []) == look_up(two, [])


def test_a_line_says_how_it_is_doing_and_since_when_it_is_known(two: ObjectStore, tmp_path: Path) -> None:
    history = HistoryStore(tmp_path / "history.sqlite3")
    history.open_revision("wiki", "v1-a", "{}", "spec", "", NOW)
    lines = list_objects([*look_up(two, []).values()], history)
    assert [(each.summary.reason, each.born) for each in lines] == [("Pending", None), ("Serving", NOW)]


def test_one_that_cannot_be_read_is_listed_with_what_is_wrong(
    two: ObjectStore, state: Path, tmp_path: Path
) -> None:
    (two.directory("wiki") / OBJECT).write_text("{")
    for shelf in (two, ObjectViews(state, lambda: two)):
        seen = look_up(shelf, [])
        assert names(seen) == ["files", "wiki"]
        lines = list_objects([*seen.values()], HistoryStore(tmp_path / "history.sqlite3"))
        assert lines[1].summary.reason == "ObjectUnreadable"
        assert "apply the manifest again to replace it" in lines[1].summary.message
