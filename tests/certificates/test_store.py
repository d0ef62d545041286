"""Certificates on disk: private, whole, and never lost to a file that cannot be read."""

from __future__ import annotations

import stat
from pathlib import Path

from reconciler.certificates.errors import Why
from reconciler.certificates.order import Answer, Order, Step
from reconciler.certificates.renewal import Failure, Window
from reconciler.certificates.self_signed import new_key
from reconciler.certificates.store import Account, Renewal, State, Store
from reconciler.certificates.wanted import Source
from tests.certificates.authority import LIFE, START, bundle

ANSWER = Answer("a.org", "http-01", "https://acme.test/c/1", "token", "token.thumb")
ORDER = Order("https://acme.test/dir", ("a.org",), new_key(), START, Step.ANSWER, "u", "f", answers=(ANSWER,))
FAILURE = Failure(2, Why.NOT_CHECKED, "no such host", START, START + LIFE)


def test_all_survives_a_restart(tmp_path: Path) -> None:
    store, made = Store(tmp_path / "certificates"), bundle("a.org")
    saved = store.save(Source.ACME, "0123", made)
    renewal = Renewal(
        made.certificate.fingerprints[0], "https://acme.test/dir", START, Window(START, START + LIFE)
    )
    state = State({"a.org": FAILURE}, {saved.file: renewal}, ("a.org",), {"https://acme.test/dir x": FAILURE})
    store.save_state(state)
    store.save_order(ORDER)
    account = Account("https://acme.test/dir", new_key(), "https://acme.test/a/1", ("a@b.org",))
    store.save_account(account)

    again = Store(tmp_path / "certificates")
    assert again.state() == state
    assert again.orders() == (ORDER,)
    assert again.account(account.server) == account
    (held,) = again.held(state)
    assert (held.bundle, held.source, held.window) == (made, Source.ACME, renewal.window)


def test_nobody_else_can_read_anything(tmp_path: Path) -> None:
    store = Store(tmp_path / "certificates")
    store.save(Source.ACME, "0123", bundle("a.org"))
    store.save_order(ORDER)
    store.save_account(Account("https://acme.test/dir", new_key()))
    store.save_state(State())
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "certificates").rglob("*")}
    assert len(modes) == 6
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items())
    assert stat.S_IMODE((tmp_path / "certificates").stat().st_mode) == 0o700


def test_what_cannot_be_read_is_missing_and_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good = store.save(Source.ACME, "0123", bundle("a.org"))
    store.save_order(ORDER)
    (tmp_path / "acme-half.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "later-kind.pem").write_text("x")
    (tmp_path / "orders" / "x.json").write_text("{")
    (tmp_path / "orders" / "y.json").write_text("{}")
    (tmp_path / "state.json").write_text("[1]")

    assert [each.file for each in store.held(store.state())] == [good.file]
    assert store.orders() == (ORDER,)
    assert store.state() == State()
    assert (tmp_path / "acme-half.pem").exists()


def test_a_window_of_a_former_certificate_is_not_that_of_the_new_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    former = store.save(Source.ACME, "0123", bundle("a.org"))
    renewal = Renewal(former.bundle.certificate.fingerprints[0], "s", START, Window(START, START))
    state = State(renewals={former.file: renewal})
    store.save(Source.ACME, "0123", bundle("a.org"))
    (held,) = store.held(state)
    assert held.window is None


def test_a_request_is_taken_once_it_is_part_of_the_state(tmp_path: Path) -> None:
    Store(tmp_path).request_renewal(("b.org", "a.org"))
    store = Store(tmp_path)
    assert store.take_requests() == ("a.org", "b.org")
    assert store.take_requests() == ("a.org", "b.org")
    store.forget_requests(("a.org",))
    assert store.take_requests() == ("b.org",)
