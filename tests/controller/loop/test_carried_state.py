"""Files of the state directory that follow a controller, by real files, encryption and all but the Swarm itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.controller.loop.carried_state import CarriedState
from reconciler.controller.loop.keeping import Keeping
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.sealed.box import Box, new_identity
from reconciler.store.carried import CarriedFiles
from reconciler.store.history import HistoryStore
from reconciler.store.tokens import Tokens
from reconciler.store.users import Users

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PASSWORD = "a long enough password"


class Shelf:
    """What a Swarm keeps, as it is there."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.problem: Exception | None = None
        self.writes = 0


class Sealed:
    """The shelf to one who has the key."""

    def __init__(self, shelf: Shelf, box: Box) -> None:
        self._shelf, self._box = shelf, box

    def read(self) -> Mapping[str, bytes | None]:
        return {label: self._box.open(content) for label, content in self._shelf.contents.items()}

    def keep(self, label: str, content: bytes) -> None:
        self._shelf.writes += 1
        if self._shelf.problem:
            raise self._shelf.problem
        self._shelf.contents[label] = self._box.seal(content)

    def forget(self, label: str) -> None:
        self._shelf.contents.pop(label, None)


class Node:
    """A state directory on one node, with the key of this file."""

    def __init__(self, root: Path, shelf: Shelf, key: Path) -> None:
        root.mkdir()
        self.root, self.shelf, self.key = root, shelf, key
        self.users = Users(root, lambda: NOW)
        self.tokens = Tokens(root, lambda: NOW)
        self.history = HistoryStore(root / "history.sqlite3")
        self.keeping = self.again()

    def again(self, key: Path | None = None) -> Keeping:
        """A controller that has just been started."""
        state = CarriedState(CarriedFiles(self.root), self.history, lambda: NOW)
        sealed = Sealed(self.shelf, Box.of(key or self.key))
        self.keeping = Keeping(self.root / "carried.json", state, sealed)
        return self.keeping

    def told(self) -> list[tuple[str, str]]:
        return [(event.reason, event.message) for event in self.history.events("")]


def key_in(path: Path) -> Path:
    path.write_text(new_identity())
    path.chmod(0o400)
    return path


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return key_in(tmp_path / "key")


@pytest.fixture
def one(tmp_path: Path, shelf: Shelf, key: Path) -> Node:
    return Node(tmp_path / "one", shelf, key)


@pytest.fixture
def two(tmp_path: Path, shelf: Shelf, key: Path) -> Node:
    return Node(tmp_path / "two", shelf, key)


def test_a_user_is_known_on_another_node_and_nothing_is_told_in_clear(
    one: Node, two: Node, shelf: Shelf
) -> None:
    one.keeping.take_over()
    one.users.set_password("anna", PASSWORD, "edit")
    one.keeping.keep_all()
    assert b"anna" not in b"".join(shelf.contents.values())
    two.keeping.take_over()
    assert two.users.verify("anna", PASSWORD)
    assert two.told() == []
    assert b"anna" not in (one.root / "carried.json").read_bytes()


def test_it_is_written_once_for_each_change(one: Node, shelf: Shelf) -> None:
    one.keeping.take_over()
    one.users.set_password("anna", PASSWORD, "edit")
    for _ in range(3):
        one.keeping.keep_all()
    one.again().take_over()
    one.keeping.keep_all()
    assert shelf.writes == 1
    one.tokens.create("robot", "view", None)
    one.keeping.keep_all()
    assert shelf.writes == 2


def test_what_was_revoked_elsewhere_is_revoked_here(one: Node, two: Node) -> None:
    token, text = one.tokens.create("robot", "view", None)
    one.keeping.take_over()
    one.keeping.keep_all()
    two.keeping.take_over()
    assert two.tokens.find(text)
    two.tokens.revoke(token.id)
    two.keeping.keep_all()
    one.again().take_over()
    assert one.tokens.find(text) is None
    assert one.told() == []


def test_what_was_changed_on_both_sides_is_taken_from_the_one_that_acted(one: Node, two: Node) -> None:
    one.users.set_password("anna", PASSWORD, "edit")
    one.keeping.take_over()
    one.keeping.keep_all()
    two.keeping.take_over()
    two.users.set_password("bert", PASSWORD, "edit")
    two.keeping.keep_all()
    one.users.set_password("carl", PASSWORD, "edit")
    one.again().take_over()
    assert [user.name for user in one.users.list()] == ["anna", "bert"]
    ((reason, message),) = one.told()
    assert reason == "StateReplaced"
    assert "logins" in message


def test_a_directory_that_was_never_kept_stays_as_it_is(one: Node, shelf: Shelf) -> None:
    one.users.set_password("anna", PASSWORD, "edit")
    assert not one.keeping.has_begun
    one.keeping.take_over()
    assert one.users.verify("anna", PASSWORD)
    one.keeping.keep_all()
    assert list(shelf.contents) == ["logins"]
    assert one.keeping.has_begun


def test_all_stays_when_a_person_removes_every_config(one: Node, shelf: Shelf) -> None:
    one.users.set_password("anna", PASSWORD, "edit")
    one.keeping.take_over()
    one.keeping.keep_all()
    shelf.contents.clear()
    one.again().take_over()
    assert one.users.verify("anna", PASSWORD)
    one.keeping.keep_all()
    assert list(shelf.contents) == ["logins"]


@pytest.mark.parametrize("lost", ["key", "content"])
def test_what_cannot_be_opened_is_told_and_made_anew(
    lost: str, one: Node, two: Node, shelf: Shelf, tmp_path: Path
) -> None:
    one.users.set_password("anna", PASSWORD, "edit")
    one.keeping.take_over()
    one.keeping.keep_all()
    if lost == "content":
        shelf.contents["logins"] = b"age-encryption.org/v1\nnonsense"
    other = key_in(tmp_path / "other") if lost == "key" else two.key
    two.again(other).take_over()
    assert two.users.list() == ()
    ((reason, message),) = two.told()
    assert reason == "StateLost"
    assert "users, their sessions and tokens are gone" in message
    two.users.set_password("bert", PASSWORD, "edit")
    two.keeping.keep_all()
    # One that has its own goes on with that, keeps it, and has nothing to tell.
    if lost == "key":
        shelf.contents.clear()
        one.again().keep_all()
        one.again(other).take_over()
        assert one.users.verify("anna", PASSWORD)
        assert one.told() == []
        one.keeping.keep_all()
        assert Box.of(other).open(shelf.contents["logins"]), "it is kept for the key that there is now"


def test_what_is_too_long_is_told_once_and_another_failure_is_tried_again(one: Node, shelf: Shelf) -> None:
    one.keeping.take_over()
    one.users.set_password("anna", PASSWORD, "edit")
    shelf.problem = RefusedError("logins has too many bytes")
    one.keeping.keep_all()
    one.keeping.keep_all()
    assert [reason for reason, _ in one.told()] == ["StateNotKept"]
    one.users.set_password("bert", PASSWORD, "edit")
    shelf.problem = EngineError("no leader")
    with pytest.raises(EngineError):
        one.keeping.keep_all()
    shelf.problem = None
    one.keeping.keep_all()
    assert list(shelf.contents) == ["logins"]


def test_what_was_kept_and_is_no_content_of_its_label_is_told(two: Node, shelf: Shelf, key: Path) -> None:
    shelf.contents["logins"] = Box.of(key).seal(b'{"../evil": ""}')
    two.keeping.take_over()
    assert [reason for reason, _ in two.told()] == ["StateLost"]
    assert not (two.root.parent / "evil").exists()


def test_what_cannot_be_restored_here_stays_for_a_controller_that_can(
    one: Node, two: Node, shelf: Shelf, key: Path
) -> None:
    """Passkeys of a later release, and the certificate of a gateway that is applied later."""
    one.users.set_password("anna", PASSWORD, "edit")
    one.keeping.take_over()
    one.keeping.keep_all()
    later = Box.of(key).open(shelf.contents["logins"])
    assert later is not None
    shelf.contents["logins"] = Box.of(key).seal(
        json.dumps({**json.loads(later), "passkeys.json": ""}).encode()
    )
    certificate = {"edge-default.pem": base64.b64encode(b"a key and a certificate").decode()}
    shelf.contents["gateway/edge/edge-default.pem"] = Box.of(key).seal(json.dumps(certificate).encode())
    kept = dict(shelf.contents)
    two.keeping.take_over()
    two.keeping.keep_all()
    assert shelf.contents == kept
    assert [reason for reason, _ in two.told()] == ["StateLost"]
    two.users.set_password("bert", PASSWORD, "edit")
    two.keeping.keep_all()
    assert shelf.contents["logins"] != kept["logins"]
