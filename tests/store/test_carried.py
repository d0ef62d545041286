"""The files that follow a controller: which they are, and what of them is written where."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.api import PermanentError
from reconciler.certificates.agents import keep_controller
from reconciler.certificates.local import default_of
from reconciler.certificates.order import Order
from reconciler.certificates.self_signed import new_key, self_signed
from reconciler.certificates.serving import ensure
from reconciler.certificates.store import Account, State, Store
from reconciler.certificates.wanted import Source
from reconciler.store.agents import Agents
from reconciler.store.carried import CarriedFiles
from reconciler.store.layout import OBJECT
from reconciler.store.sessions import Sessions
from reconciler.store.tokens import Tokens
from reconciler.store.users import Users

NOW = datetime.now(UTC)
PASSWORD = "a long enough password"


def now() -> datetime:
    return NOW


def gateway(state: Path, name: str = "main") -> Path:
    """The directory of a gateway that is there."""
    directory = state / "gateways" / name
    directory.mkdir(parents=True)
    (directory / OBJECT).write_text("{}")
    return directory


def lived_in(state: Path) -> str:
    """A state directory with one of everything; the text of its token."""
    state.mkdir()
    Users(state, now).set_password("anna", PASSWORD, "admin")
    _, token = Tokens(state, now).create("robot", "view", None)
    Sessions(state, now).begin("anna", "epoch", "192.0.2.1")
    ensure(state / "api", ["localhost"], NOW)
    keep_controller(state / "agents", NOW)
    Agents(state, now).invite("node-2", "10.0.0.2:9443", "0" * 64)
    store = Store(gateway(state) / "certificates")
    default_of(store, (), NOW)
    store.save(Source.ACME, "0123456789abcdef", self_signed(["a.example.org"], NOW))
    store.save_account(Account("https://acme.example.org/directory", new_key(), "https://acme.example.org/1"))
    store.save_order(Order("https://acme.example.org/directory", ("b.example.org",), new_key(), NOW))
    store.save_state(State(forced=("c.example.org",)))
    (state / "history.sqlite3").write_text("not this")
    return token


def moved(here: CarriedFiles, there: CarriedFiles) -> None:
    for label in here.labels():
        content = here.content(label)
        assert content
        assert there.restore(label, content)


def test_another_directory_is_the_same_to_those_who_know_it(tmp_path: Path) -> None:
    token = lived_in(tmp_path / "one")
    two = tmp_path / "two"
    gateway(two)
    moved(CarriedFiles(tmp_path / "one"), CarriedFiles(two))
    assert Users(two, now).verify("anna", PASSWORD)
    assert Tokens(two, now).find(token)
    assert len(Sessions(two, now).of("anna")) == 1
    for file in ("agents/ca.crt", "agents/ca.key", "api/ca.crt", "api/ca.key", "agents.json"):
        assert (two / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
    mine, other = (Store(each / "gateways/main/certificates") for each in (tmp_path / "one", two))
    assert mine.held(State()) == other.held(State())
    assert len(other.held(State())) == 2
    assert other.orders() == mine.orders() != ()
    assert other.account("https://acme.example.org/directory")
    assert other.state().forced == ("c.example.org",)
    assert not (two / "history.sqlite3").exists()
    assert not (two / "agents/controller.key").exists(), "it is issued anew"
    for path in two.rglob("*"):
        if path.is_file() and path.name != OBJECT:
            assert path.stat().st_mode & 0o777 == 0o600, path
    for directory in ("agents", "api", "gateways/main/certificates", "gateways/main/certificates/orders"):
        assert (two / directory).stat().st_mode & 0o777 == 0o700, directory


def test_authorities_are_current_where_they_came_to(tmp_path: Path) -> None:
    lived_in(tmp_path / "one")
    two = tmp_path / "two"
    two.mkdir()
    there = CarriedFiles(two)
    for label in ("agents", "api"):
        content = CarriedFiles(tmp_path / "one").content(label)
        assert content
        there.restore(label, content)
    before = (two / "agents/ca.crt").read_bytes()
    assert keep_controller(two / "agents", NOW + timedelta(days=1))
    ensure(two / "api", ["localhost"], NOW)
    assert (two / "agents/ca.crt").read_bytes() == before


def test_without_its_gateway_a_certificate_has_no_place(tmp_path: Path) -> None:
    lived_in(tmp_path / "one")
    here, two = CarriedFiles(tmp_path / "one"), tmp_path / "two"
    two.mkdir()
    label = next(each for each in here.labels() if each.startswith("gateway/"))
    content = here.content(label)
    assert content
    assert not CarriedFiles(two).restore(label, content)
    assert list(two.iterdir()) == []


def test_only_orders_are_removed(tmp_path: Path) -> None:
    lived_in(tmp_path / "one")
    files = CarriedFiles(tmp_path / "one")
    labels = list(files.labels())
    removed = [label for label in labels if files.remove_order(label)]
    assert [label.split("/")[2] for label in removed] == ["orders"]
    assert set(files.labels()) == set(labels) - set(removed)


def packed(**texts: str) -> bytes:
    return json.dumps({name: b64encode(text.encode()).decode() for name, text in texts.items()}).encode()


@pytest.mark.parametrize(
    ("label", "content"),
    [
        ("logins", b"no JSON"),
        ("logins", b"[]"),
        ("logins", b"{}"),
        ("logins", b'{"users.json": 7}'),
        ("logins", b'{"users.json": "%"}'),
        ("logins", packed(**{"users.json": "{}", "../evil": "x"})),
        ("logins", packed(**{"agents.json": "{}"})),
        ("gateway/../../etc/state.json", packed(**{"state.json": "{}"})),
        ("gateway/main/../../x.pem", packed(**{"../../x.pem": "x"})),
        ("gateway/main/acme-0.pem", packed(**{"orders/0.json": "x"})),
        ("others", packed(others="x")),
    ],
)
def test_what_names_other_files_is_refused(tmp_path: Path, label: str, content: bytes) -> None:
    gateway(tmp_path / "state")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(PermanentError, match="cannot be understood"):
        CarriedFiles(tmp_path / "state").restore(label, content)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_directory_has_nothing(tmp_path: Path) -> None:
    files = CarriedFiles(tmp_path)
    assert list(files.labels()) == []
    assert files.content("logins") is None
    assert files.directories() == [tmp_path]
