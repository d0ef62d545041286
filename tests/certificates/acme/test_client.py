"""The protocol against a real server (pebble, its validation on), with a small HTTP server in HAProxy's place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reconciler.certificates.acme.client import AcmeServer, Binding
from reconciler.certificates.certificate import read_bundle
from reconciler.certificates.errors import AcmeAwayError, AcmeError, Why
from reconciler.certificates.self_signed import new_key, signing_request
from reconciler.certificates.store import Account
from tests.certificates.pebble import Pebble, free_port, running

# The server is a program of Debian's, and it takes seconds to start.
pytestmark = pytest.mark.docker


@contextmanager
def answering(answers: dict[str, str]) -> Iterator[int]:
    """A server of these answers by path; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, "").encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def pebble(answers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with (
        answering(answers) as port,
        running(tmp_path_factory.mktemp("pebble"), "127.0.0.1", port, free_port()) as made,
    ):
        yield made


def server_of(pebble: Pebble, account: Account | None = None) -> AcmeServer:
    acme = pebble.acme()
    made = AcmeServer(account or Account(acme.server, new_key()), ca_file=acme.ca_file)
    if not account:
        made.register([])
    return made


def checked(server: AcmeServer, url: str, deadline: float = 30.0) -> str:
    until = time.monotonic() + deadline
    while (status := server.authorization(url).status) == "pending":
        assert time.monotonic() < until
        time.sleep(0.1)
    return status


def test_from_an_account_to_a_certificate(pebble: Pebble, answers: dict[str, str]) -> None:
    server = server_of(pebble)
    placed = server.place(["a.example.org", "b.example.org"], profile=None, replaces="")
    for url in placed.authorizations:
        found = server.authorization(url)
        if found.status == "valid":
            continue
        assert {offer.challenge for offer in found.offers} >= {"http-01", "dns-01", "tls-alpn-01"}
        (offer,) = (each for each in found.offers if each.challenge == "http-01")
        answers[f"/.well-known/acme-challenge/{offer.token}"] = offer.value
        server.answer(offer.url)
        assert checked(server, url) == "valid"
        # As after a crash: the server knows already.
        server.answer(offer.url)
    key = new_key()
    state = server.finalize(placed.finalize, signing_request(key, ["a.example.org", "b.example.org"]))
    while state.status == "processing":
        time.sleep(0.2)
        state = server.order(placed.url)
    assert state.status == "valid"
    chain = server.download(state.certificate)
    assert chain.count("BEGIN CERTIFICATE") == 2

    certificate = read_bundle(chain.encode(), key.encode(), "x").certificate
    assert certificate.names == {"a.example.org", "b.example.org"}
    window, seconds = server.renewal(certificate.renewal_id)
    assert window is not None
    assert certificate.not_before < window.start <= window.end <= certificate.not_after
    assert seconds >= 60
    names = ["a.example.org", "b.example.org"]
    assert server.place(names, profile=None, replaces=certificate.renewal_id).url
    # The one that it replaces is replaced already, so it is ordered as any other.
    assert server.place(names, profile=None, replaces=certificate.renewal_id).url
    # And so is one that replaces what the server does not find.
    authority, _, _ = certificate.renewal_id.partition(".")
    assert server.place(names, profile=None, replaces=f"{authority}.AQ").url
    server.close()


def test_an_account_is_found_again_by_its_key(pebble: Pebble) -> None:
    account = Account(pebble.acme().server, new_key())
    first = AcmeServer(account, ca_file=pebble.acme().ca_file)
    url = first.register(["admin@example.org"])
    again = AcmeServer(account, ca_file=pebble.acme().ca_file)
    assert again.register([]) == url
    known = server_of(pebble, Account(account.server, account.key, url))
    assert known.place(["c.example.org"], profile=None, replaces="").authorizations
    for each in (first, again, known):
        each.close()


def test_a_name_that_leads_nowhere_says_why(pebble: Pebble) -> None:
    pebble.leads("nowhere.example.org", "127.0.0.9")
    server = server_of(pebble)
    placed = server.place(["nowhere.example.org"], profile=None, replaces="")
    (url,) = placed.authorizations
    (offer,) = (each for each in server.authorization(url).offers if each.challenge == "http-01")
    server.answer(offer.url)
    assert checked(server, url) == "invalid"
    problem = server.authorization(url).problem
    assert "(connection); let port 80" in problem or "(unauthorized); make the name's DNS" in problem
    assert server.order(placed.url).status == "invalid"
    server.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [("exa mple.org", "malformed"), ("*.*.example.org", "malformed")],
)
def test_a_refusal_names_the_server_and_its_reason(pebble: Pebble, name: str, message: str) -> None:
    server = server_of(pebble)
    with pytest.raises(AcmeError, match=rf"localhost:\d+ refuses to accept an order: .*{message}") as caught:
        server.place([name], profile=None, replaces="")
    assert not isinstance(caught.value, AcmeAwayError)
    server.close()


def test_an_unknown_account_is_told_apart(pebble: Pebble) -> None:
    acme = pebble.acme()
    stranger = server_of(pebble, Account(acme.server, new_key(), f"{acme.server}/my-account/nobody"))
    with pytest.raises(AcmeError) as caught:
        stranger.place(["a.example.org"], profile=None, replaces="")
    assert caught.value.code in ("accountDoesNotExist", "malformed", "unauthorized")
    stranger.close()


def test_external_account_binding_needs_the_right_key(tmp_path: Path) -> None:
    with running(tmp_path, "127.0.0.1", free_port(), free_port(), binding=True) as bound:
        acme = bound.acme()
        without = AcmeServer(Account(acme.server, new_key()), ca_file=acme.ca_file)
        with pytest.raises(AcmeError, match=r"set spec.acme.externalAccount of the gateway"):
            without.register([])
        garbled = AcmeServer(
            Account(acme.server, new_key()), ca_file=acme.ca_file, binding=Binding("kid-1", "ä no base64")
        )
        with pytest.raises(AcmeError, match=r"spec.acme.externalAccount.keyFile holds no key in base64url"):
            garbled.register([])
        wrong = AcmeServer(
            Account(acme.server, new_key()), ca_file=acme.ca_file, binding=Binding("kid-1", "AAAA")
        )
        with pytest.raises(AcmeError, match="refuses to make an account"):
            wrong.register([])
        for each in (without, garbled, wrong):
            each.close()


def test_a_server_that_is_away_or_is_none(tmp_path: Path, pebble: Pebble, answers: dict[str, str]) -> None:
    def asked(url: str, ca_file: str | None = None) -> str:
        server = AcmeServer(Account(url, new_key()), ca_file=ca_file)
        with pytest.raises(AcmeAwayError) as caught:
            server.register([])
        server.close()
        assert caught.value.why is Why.ACME_AWAY
        assert caught.value.message.isprintable()
        return caught.value.message

    assert "Connection refused" in asked(f"https://localhost:{free_port()}/dir")
    untrusted = asked(pebble.acme().server)
    assert "its own certificate is not trusted" in untrusted
    assert "see spec.acme.caFile" in untrusted
    ca_file = pebble.acme().ca_file
    assert "does not make an account" in asked(f"https://localhost:{pebble.management}/roots/0", ca_file)
    assert "it answers 404" in asked(f"https://localhost:{pebble.port}/nothing", ca_file)
    assert "does not make an account" in asked("https://name.invalid/dir")
