"""Each way in is tried; one that waits does not hold up the others, and refusals do not fill the log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.store.tokens import Tokens
from reconciler.web.kube.clients.client import Client
from reconciler.web.kube.clients.clients import LOG_SECONDS, Clients
from reconciler.web.kube.clients.grants import Grants, parse_grant
from reconciler.web.kube.clients.issuer_keys import IssuerKeys
from reconciler.web.kube.clients.oidc import Oidc
from reconciler.web.kube.clients.oidc_settings import OidcSettings
from reconciler.web.kube.errors import ApiError
from tests.web.kube.issuer import CLIENT_ID, DISCOVERY, Issuer, authority, client, rsa

NOW = datetime.now(UTC)
ISSUER = Issuer("https://id.example.org", Path(), [rsa("one")])
GRANTS = Grants((parse_grant("edit=user:carla"),))


class Slow:
    """An issuer that answers when it is let."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.was_asked = threading.Event()

    def fetch(self, url: str) -> bytes:
        self.was_asked.set()
        assert self.may_answer.wait(30)
        document: Any = {"issuer": ISSUER.url, "jwks_uri": f"{ISSUER.url}/keys"}
        if not url.endswith(DISCOVERY):
            document = {"keys": [key.as_dict(private=False) for key in ISSUER.keys]}
        return json.dumps(document).encode()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path, lambda: NOW)


def clients(tokens: Tokens, fetch: Any = None, **options: Any) -> Clients:
    settings = OidcSettings(ISSUER.url, CLIENT_ID)
    oidc = Oidc(settings, IssuerKeys(ISSUER.url, fetch), GRANTS) if fetch else None
    return Clients(tokens, lambda: datetime.now(UTC), GRANTS, oidc, **options)


def test_a_token_does_not_wait_for_an_issuer_that_hangs(tokens: Tokens) -> None:
    issuer = Slow()
    known = clients(tokens, issuer.fetch)
    _, text = tokens.create("anna", "view", None)

    async def both() -> tuple[Client, Client]:
        waiting = [asyncio.create_task(known.identify([f"Bearer {ISSUER.token()}"], None)) for _ in range(50)]
        await asyncio.to_thread(issuer.was_asked.wait, 30)
        anna = await known.identify([f"Bearer {text}"], None)
        assert not any(each.done() for each in waiting)
        issuer.may_answer.set()
        return anna, (await asyncio.gather(*waiting))[-1]

    anna, other = asyncio.run(both())
    assert (anna.user, anna.way) == ("anna", "token")
    assert (other.user, other.way) == (f"{ISSUER.url}#anna", "oidc")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Bearer"],
        ["Bearer "],
        ["Basic YTpi"],
        ["vault_00000000_x"],
        ["Bearer a", "Bearer b"],
        ["Bearer a.b.c"],
        ["Bearer " + "." * 100_000],
    ],
)
def test_others_are_unauthorized_and_told_nothing(tokens: Tokens, headers: list[str]) -> None:
    issuer = Slow()
    issuer.may_answer.set()
    for known in (clients(tokens), clients(tokens, issuer.fetch)):
        with pytest.raises(ApiError) as caught:
            asyncio.run(known.identify(headers, None))
        assert (caught.value.code, caught.value.message) == (401, "Unauthorized")


def test_a_certificate_that_is_refused_leaves_the_token(tokens: Tokens) -> None:
    _, text = tokens.create("anna", "view", None)
    by = authority()
    known = clients(tokens)
    for shown, user in ((client(by, "carla"), "carla"), (client(by, "system:admin"), "anna")):
        assert asyncio.run(known.identify([f"Bearer {text}"], shown.der)).user == user


def test_what_was_let_in_is_asked_again(tokens: Tokens) -> None:
    token, text = tokens.create("anna", "view", None)
    known = clients(tokens)
    anna = asyncio.run(known.identify([f"Bearer {text}"], None))
    carla = asyncio.run(known.identify([], client(authority(), "carla", life=timedelta(hours=1)).der))
    assert known.is_valid(anna)
    assert known.is_valid(carla)
    tokens.revoke(token.id)
    assert not known.is_valid(anna)
    later = Clients(tokens, lambda: NOW + timedelta(hours=2), GRANTS)
    assert not later.is_valid(carla)


def test_refusals_are_logged_now_and_then(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    time = [0.0]
    issuer = Slow()
    issuer.may_answer.set()
    known = clients(tokens, issuer.fetch, clock=lambda: time[0])
    secret = ISSUER.token(exp=1)
    for _ in range(20):
        with pytest.raises(ApiError):
            asyncio.run(known.identify([f"Bearer {secret}"], None))
    time[0] += LOG_SECONDS
    with pytest.raises(ApiError):
        asyncio.run(known.identify([f"Bearer {secret}"], None))
    said = [each.getMessage() for each in caplog.records if each.name.endswith("clients.clients")]
    assert said == [
        "a token of the OIDC issuer was refused: it has expired",
        "a token of the OIDC issuer was refused: it has expired (19 more since the last line)",
    ]
    assert secret not in caplog.text
