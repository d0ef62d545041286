"""Objects that follow a controller to another node: what both sides have done since is brought together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api.kinds import KINDS, VAULT_SERVICE, Ref
from reconciler.controller.loop.keeping import Keeping
from reconciler.controller.loop.kept_objects import KeptObjects
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.store.history import HistoryStore
from reconciler.store.layout import OBJECT
from reconciler.store.objects import ObjectStore
from tests.simulation.services import NAME, Wish
from tests.simulation.stores import ORIGIN

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
REF = Ref(VAULT_SERVICE, NAME)


class Shelf:
    """What a Swarm keeps."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.problem: Exception | None = None
        self.writes = 0

    def read(self) -> Mapping[str, bytes]:
        return dict(self.contents)

    def keep(self, label: str, content: bytes) -> None:
        self.writes += 1
        if self.problem:
            raise self.problem
        self.contents[label] = content

    def forget(self, label: str) -> None:
        self.contents.pop(label, None)


class Node:
    """A state directory on one node."""

    def __init__(self, root: Path, shelf: Shelf) -> None:
        self.objects = ObjectStore(root)
        self.history = HistoryStore(root / "history.sqlite3")
        self.hidden: list[str] = []
        self.root, self.shelf = root, shelf
        self.keeping = self.again()

    def again(self) -> Keeping:
        """A controller that has just been started."""
        contents = KeptObjects(
            tuple(KINDS.values()), self.objects.of, self.history.of, self._hide, lambda: NOW
        )
        self.keeping = Keeping(self.root / "kept.json", contents, self.shelf)
        return self.keeping

    def _hide(self, text: str, label: str) -> str:
        for each in self.hidden:
            text = text.replace(each, "[hidden]")
        return text

    def apply(self, replicas: int) -> None:
        self.objects.apply(Wish("web", replicas=replicas).service(), ORIGIN)

    @property
    def replicas(self) -> int | None:
        stored = self.objects.get(NAME)
        return stored.resource.spec.replicas if stored else None

    def reasons(self) -> list[str]:
        return [event.reason for event in self.history.events(NAME)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def one(tmp_path: Path, shelf: Shelf) -> Node:
    (tmp_path / "one").mkdir()
    return Node(tmp_path / "one", shelf)


@pytest.fixture
def two(tmp_path: Path, shelf: Shelf) -> Node:
    (tmp_path / "two").mkdir()
    return Node(tmp_path / "two", shelf)


def test_an_object_is_found_on_another_node_with_its_generation(one: Node, two: Node) -> None:
    one.keeping.take_over()
    one.apply(2)
    one.apply(3)
    one.keeping.keep(REF.label)
    two.keeping.take_over()
    assert two.replicas == 3
    found, stored = two.objects.get(NAME), one.objects.get(NAME)
    assert found == stored
    assert found is not None
    assert found.generation == 2
    assert two.reasons() == ["HistoryMissing"]


def test_what_was_changed_or_deleted_elsewhere_is_taken_over(one: Node, two: Node) -> None:
    one.keeping.take_over()
    one.apply(2)
    one.keeping.keep(REF.label)
    two.keeping.take_over()
    two.apply(5)
    two.keeping.keep(REF.label)
    one.again().take_over()
    assert one.replicas == 5
    assert one.reasons() == []
    one.objects.orphan(NAME)
    one.keeping.keep(REF.label)
    two.again().take_over()
    assert two.replicas is None


def test_what_was_applied_here_meanwhile_stays_unless_another_one_has_acted_on_other_things(
    one: Node, two: Node
) -> None:
    one.keeping.take_over()
    one.apply(2)
    one.keeping.keep(REF.label)
    one.apply(4)
    one.again().take_over()
    assert one.replicas == 4, "the Swarm has what this one had acted on"
    one.keeping.keep(REF.label)
    two.keeping.take_over()
    two.apply(5)
    two.keeping.keep(REF.label)
    one.apply(6)
    one.again().take_over()
    assert one.replicas == 5
    assert one.reasons() == ["HistoryMissing"]


def test_objects_that_were_never_kept_stay(one: Node) -> None:
    one.apply(2)
    one.keeping.take_over()
    assert one.replicas == 2
    (one.root / "kept.json").write_text("{")
    one.again().take_over()
    assert one.replicas == 2


def test_an_object_is_written_once(one: Node, shelf: Shelf) -> None:
    one.keeping.take_over()
    one.apply(2)
    one.keeping.keep(REF.label)
    one.keeping.keep(REF.label)
    one.again().take_over()
    one.keeping.keep(REF.label)
    assert shelf.writes == 1
    assert list(json.loads((one.root / "kept.json").read_text())) == [NAME]


def test_a_secret_is_not_kept(one: Node, shelf: Shelf) -> None:
    one.keeping.take_over()
    one.apply(2)
    one.hidden = ['"replicas": 2']
    one.keeping.keep(REF.label)
    one.keeping.keep(REF.label)
    assert shelf.contents == {}
    assert one.reasons() == ["ObjectNotKept"]
    one.apply(3)
    one.keeping.keep(REF.label)
    assert NAME in shelf.contents


def test_what_is_too_long_is_told_and_another_failure_is_tried_again(one: Node, shelf: Shelf) -> None:
    one.keeping.take_over()
    one.apply(2)
    shelf.problem = RefusedError("too long")
    one.keeping.keep(REF.label)
    assert one.reasons() == ["ObjectNotKept"]
    one.apply(3)
    shelf.problem = EngineError("no leader")
    with pytest.raises(EngineError):
        one.keeping.keep(REF.label)
    shelf.problem = None
    one.keeping.keep(REF.label)
    assert NAME in shelf.contents


@pytest.mark.parametrize("damage", [b"", b'{"spec": ', b"\xff\xfe"])
def test_a_damaged_object_does_not_replace_what_is_kept_of_it(
    damage: bytes, one: Node, two: Node, shelf: Shelf
) -> None:
    one.keeping.take_over()
    one.apply(2)
    one.keeping.keep(REF.label)
    whole = shelf.contents[REF.label]
    (one.root / "services" / NAME / OBJECT).write_bytes(damage)
    one.keeping.keep(REF.label)
    assert shelf.contents[REF.label] == whole
    assert one.reasons() == ["ObjectNotKept"]
    two.keeping.take_over()
    assert two.replicas == 2
    one.again().take_over()
    assert one.replicas == 2
