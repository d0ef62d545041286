"""Keys are fetched when they are needed, kept for a while, never for long, and never from where a token wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey

from reconciler.web.kube.clients.issuer_keys import (
    FRESH_SECONDS,
    KEPT_SECONDS,
    MAX_ANSWER,
    PAUSE_SECONDS,
    IssuerError,
    IssuerKeys,
    fetching,
    read_keys,
)
from tests.registry.server import Said, serving
from tests.web.kube.issuer import DISCOVERY, Issuer, ec, issuing, rsa

ISSUER = "https://id.example.org/realms/a"
ONE = rsa("one")


class World:
    """An issuer without a network, and a clock."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.keys: list[Any] = [ONE.as_dict(private=False)]
        self.discovery: Any = {"issuer": ISSUER, "jwks_uri": "https://id.example.org/keys"}
        self.away = False
        self.asked: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.away:
            raise IssuerError("away")
        return json.dumps(self.discovery if url.endswith(DISCOVERY) else {"keys": self.keys}).encode()

    def made(self) -> IssuerKeys:
        return IssuerKeys(ISSUER, self.fetch, lambda: self.time)


@pytest.fixture
def world() -> World:
    return World()


def fetched(keys: IssuerKeys) -> list[str | None]:
    """The IDs that are known once a fetch that may be running has ended."""
    keys.known()
    keys.refresh().result(10)
    return [key.kid for key in keys.known()]


def test_each_fetch_says_whether_it_has_succeeded(world: World) -> None:
    told: list[bool] = []
    keys = IssuerKeys(ISSUER, world.fetch, lambda: world.time, told.append)
    world.away = True
    fetched(keys)
    world.time += PAUSE_SECONDS
    world.away, world.keys = False, [7]
    fetched(keys)
    world.time += PAUSE_SECONDS
    world.keys = [ONE.as_dict(private=False)]
    assert fetched(keys) == ["one"]
    assert told == [False, False, True]


def test_they_are_fetched_once_and_again_when_they_are_old(world: World) -> None:
    keys = world.made()
    assert keys.known() == ()
    assert fetched(keys) == ["one"]
    asked = len(world.asked)
    world.time += FRESH_SECONDS - 1
    assert [key.kid for key in keys.known()] == ["one"]
    assert len(world.asked) == asked
    world.keys = [ec("two").as_dict(private=False)]
    world.time += 2
    assert fetched(keys) == ["two"]


def test_kept_ones_are_used_while_the_issuer_is_away_and_then_no_longer(world: World) -> None:
    keys = world.made()
    assert fetched(keys) == ["one"]
    world.away = True
    world.time += KEPT_SECONDS - 1
    assert fetched(keys) == ["one"]
    world.time += PAUSE_SECONDS + 2
    assert fetched(keys) == []
    world.away = False
    world.time += PAUSE_SECONDS + 1
    assert fetched(keys) == ["one"]


def test_however_often_it_is_asked_the_issuer_is_not(world: World) -> None:
    keys = world.made()
    for _ in range(100):
        keys.refresh().result(10)
    assert len(world.asked) == 2
    world.time += PAUSE_SECONDS + 1
    keys.refresh().result(10)
    assert len(world.asked) == 4


@pytest.mark.parametrize(
    ("discovery", "says"),
    [
        ([], "not an object in JSON"),
        ({"issuer": ISSUER + "/", "jwks_uri": "https://id.example.org/keys"}, "has to be the same text"),
        ({"jwks_uri": "https://id.example.org/keys"}, "has to be the same text"),
        ({"issuer": ISSUER}, "jwks_uri"),
        ({"issuer": ISSUER, "jwks_uri": 7}, "jwks_uri"),
        ({"issuer": ISSUER, "jwks_uri": "http://169.254.169.254/latest"}, "is not an https:// URL"),
        ({"issuer": ISSUER, "jwks_uri": "file:///etc/shadow"}, "is not an https:// URL"),
        ({"issuer": ISSUER, "jwks_uri": "https://a:b@id.example.org/keys"}, "contains a login"),
    ],
)
def test_a_document_of_another_issuer_or_with_another_address_is_not_followed(
    world: World, discovery: Any, says: str
) -> None:
    world.discovery = discovery
    with pytest.raises(IssuerError, match=says):
        read_keys(ISSUER, world.fetch)
    assert world.asked == [ISSUER + DISCOVERY]


def test_only_public_keys_for_signatures_are_taken(world: World) -> None:
    # Half of the digits of a key make one of half the length.
    whole = ONE.as_dict(private=False)
    small = {**whole, "n": str(whole["n"])[:171], "kid": "small"}
    shared = OctKey.generate_key(256, {"kid": "shared"}).as_dict(private=True)
    for_encryption = {**ONE.as_dict(private=False), "use": "enc"}
    broken = {"kty": "RSA", "kid": "broken", "n": "!", "e": []}
    others: list[Any] = [
        small,
        shared,
        for_encryption,
        broken,
        {"kty": "AKP"},
        {"kty": ["RSA"]},
        None,
        "x",
        7,
    ]
    world.keys = others
    with pytest.raises(IssuerError, match="no RSA or EC key"):
        read_keys(ISSUER, world.fetch)
    world.keys = [*others, ONE.as_dict(private=True)]
    (key,) = read_keys(ISSUER, world.fetch)
    assert key.kid == "one"
    assert not key.is_private


def test_a_set_without_end_is_refused(world: World) -> None:
    world.keys = [ONE.as_dict(private=False)] * 101
    with pytest.raises(IssuerError, match="at most 100 keys"):
        read_keys(ISSUER, world.fetch)


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    with issuing(tmp_path, ONE) as found:
        yield found


def test_a_real_issuer_is_read(issuer: Issuer) -> None:
    assert [key.kid for key in read_keys(issuer.url, fetching(issuer.ca_file))] == ["one"]


def test_one_that_the_machine_does_not_trust_is_not_asked(issuer: Issuer) -> None:
    with pytest.raises(IssuerError, match="is not trusted; see --oidc-ca-file"):
        read_keys(issuer.url, fetching(None))
    assert issuer.asked == []


def test_a_redirection_is_not_followed(issuer: Issuer) -> None:
    issuer.answers["/keys"] = lambda: (302, {"Location": f"{issuer.url}/secret"}, b"")
    with pytest.raises(IssuerError, match="answers 302"):
        read_keys(issuer.url, fetching(issuer.ca_file))
    assert "/secret" not in issuer.asked


def test_an_answer_without_end_is_cut(issuer: Issuer) -> None:
    issuer.answers["/keys"] = lambda: (200, {}, b"[" * (MAX_ANSWER + 1))
    with pytest.raises(IssuerError, match="longer than 512 KiB"):
        read_keys(issuer.url, fetching(issuer.ca_file))


def test_deep_and_broken_answers_are_no_defect(issuer: Issuer) -> None:
    for body in (b"[" * 100_000, b"\xff\xfe", b"", b"{}", b'{"keys": {}}'):
        issuer.answers["/keys"] = lambda body=body: (200, {}, body)  # type: ignore[misc]
        with pytest.raises(IssuerError, match="its set of keys"):
            read_keys(issuer.url, fetching(issuer.ca_file))


def test_one_that_does_not_answer_is_given_up(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.web.kube.clients.issuer_keys.TIMEOUT_SECONDS", 0.3)
    issuer.answers[DISCOVERY] = lambda: time.sleep(2) or (200, {}, b"{}")  # type: ignore[func-returns-value]
    with pytest.raises(IssuerError, match=r"no answer in 0\.3 s"):
        read_keys(issuer.url, fetching(issuer.ca_file))


def test_an_answer_byte_by_byte_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a socket is for each silence: one byte in each would hold the keys for hours."""
    monkeypatch.setattr("reconciler.web.kube.clients.issuer_keys.TOTAL_SECONDS", 0.4)
    done = threading.Event()

    def drip() -> Iterator[bytes]:
        while not done.wait(0.05):
            yield b" "

    with serving(lambda _: Said(pieces=drip)) as server:
        fetch = fetching(None)
        with pytest.raises(IssuerError, match=r"did not finish its answer in 0\.4 s"):
            fetch(f"http://{server.host}/keys")
        done.set()


def test_no_login_of_the_user_is_sent(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login anna password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    sent: list[Any] = []
    real = requests.Session.send

    def send(self: Any, request: Any, **options: Any) -> Any:
        sent.append(request.headers)
        return real(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", send)
    fetching(issuer.ca_file)(issuer.url + DISCOVERY)
    assert sent
    assert all("Authorization" not in each for each in sent)
