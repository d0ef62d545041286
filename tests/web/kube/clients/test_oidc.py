"""A token of the issuer is let in, and nothing that only looks like one: real HTTPS, real keys, real signatures."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from reconciler.web.kube.clients.client import Client, RefusedError
from reconciler.web.kube.clients.grants import Grants, parse_grant
from reconciler.web.kube.clients.issuer_keys import IssuerKeys, fetching
from reconciler.web.kube.clients.oidc import SKEW, Oidc
from reconciler.web.kube.clients.oidc_settings import ALGORITHMS, OidcSettings
from tests.web.kube.issuer import CLIENT_ID, Issuer, ec, issuing, rsa

GRANTS = Grants((parse_grant("edit=group:deployers"), parse_grant("admin=user:root")))


class Front:
    """The issuer, and what lets its tokens in; the pause between fetches can be skipped."""

    def __init__(self, issuer: Issuer, **settings: Any) -> None:
        self.issuer = issuer
        self.later = 0.0
        self.settings = OidcSettings(issuer.url, CLIENT_ID, groups_claim="groups", **settings)
        keys = IssuerKeys(issuer.url, fetching(issuer.ca_file), lambda: time.monotonic() + self.later)
        self.oidc = Oidc(self.settings, keys, GRANTS)

    def client(self, token: str, now: datetime | None = None) -> Client:
        return asyncio.run(self.oidc.client(token, now or datetime.now(UTC)))

    def refuses(self, token: str) -> str:
        with pytest.raises(RefusedError) as caught:
            self.client(token)
        return str(caught.value)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with issuing(tmp_path_factory.mktemp("issuer"), rsa("one"), ec("two")) as found:
        yield found


@pytest.fixture(scope="module")
def front(issuer: Issuer) -> Front:
    return Front(issuer)


def test_a_token_names_a_user_with_its_groups_and_its_role(front: Front, issuer: Issuer) -> None:
    found = front.client(issuer.token(groups=["deployers", "staff", "system:masters", "vault:admin"]))
    assert found.user == f"{issuer.url}#anna"
    assert found.groups == ("deployers", "staff", "system:authenticated")
    assert (found.role, found.way, found.credential) == ("edit", "oidc", issuer.url)
    assert found.until is not None
    assert timedelta(minutes=9) < found.until - datetime.now(UTC) < timedelta(minutes=11)


def test_one_without_a_grant_has_no_role(front: Front, issuer: Issuer) -> None:
    assert front.client(issuer.token(groups=["staff"])).role is None
    assert front.client(issuer.token()).role is None
    # The prefix of names keeps the user of the issuer apart from that of a grant.
    assert front.client(issuer.token(sub="root")).role is None


@pytest.mark.parametrize(
    ("settings", "claims", "user", "groups"),
    [
        ({"username_prefix": "-"}, {"sub": "root"}, "root", ()),
        ({"username_prefix": "oidc:"}, {"sub": "root"}, "oidc:root", ()),
        ({"username_claim": "email"}, {"email": "a@b.org", "email_verified": True}, "a@b.org", ()),
        ({"username_claim": "email"}, {"email": "a@b.org"}, "a@b.org", ()),
        ({"username_prefix": "-", "groups_prefix": "id:"}, {"groups": ["a", "b"]}, "anna", ("id:a", "id:b")),
        ({"username_prefix": "-"}, {"groups": "deployers"}, "anna", ("deployers",)),
        ({"username_prefix": "-"}, {"aud": ["other", CLIENT_ID]}, "anna", ()),
        ({"username_prefix": "-", "required_claims": {"hd": "b.org"}}, {"hd": "b.org"}, "anna", ()),
    ],
)
def test_settings_say_what_is_the_user(
    issuer: Issuer, settings: dict[str, Any], claims: dict[str, Any], user: str, groups: tuple[str, ...]
) -> None:
    found = Front(issuer, **settings).client(issuer.token(**claims))
    assert (found.user, found.groups[:-1]) == (user, groups)


def test_other_signatures_are_accepted_where_they_are_named(issuer: Issuer, front: Front) -> None:
    token = issuer.token(issuer.keys[1])
    assert "its algorithm" in front.refuses(token)
    assert Front(issuer, algorithms=("RS256", "ES256")).client(token).user.endswith("#anna")


def unsigned(issuer: Issuer, header: dict[str, Any], **claims: Any) -> str:
    """A token without a signature."""
    payload = issuer.token(**claims).split(".")[1]
    return f"{part(header)}.{payload}."


def part(content: Any) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def with_the_public_key(issuer: Issuer, form: str) -> str:
    """HS256, with the public key as the shared secret, as if the server used one key for all algorithms."""
    key = issuer.keys[0]
    assert isinstance(key, RSAKey)
    secret = key.as_pem(private=False) if form == "pem" else json.dumps(key.as_dict(private=False)).encode()
    claims = {"iss": issuer.url, "aud": CLIENT_ID, "sub": "root", "exp": int(time.time()) + 600}
    signed = f"{part({'alg': 'HS256', 'kid': key.kid})}.{part(claims)}"
    signature = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def changed(token: str, **claims: Any) -> str:
    """The token with other claims and its old signature."""
    head, payload, signature = token.split(".")
    known = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{head}.{part({**known, **claims})}.{signature}"


NOW = int(time.time())
STRANGER = rsa("one")
ATTACKS: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda issuer: issuer.token(exp=NOW - 60),
    "expired long ago": lambda issuer: issuer.token(exp=0),
    "without an end": lambda issuer: issuer.token(exp=None),
    "an end that is no number": lambda issuer: issuer.token(exp="2999-01-01"),
    "an end that is true": lambda issuer: issuer.token(exp=True),
    "an end that never comes": lambda issuer: issuer.token(exp=float("inf")),
    "an end that compares with nothing": lambda issuer: issuer.token(exp=float("nan")),
    "not yet valid": lambda issuer: issuer.token(nbf=int(time.time()) + 300),
    "issued in the future": lambda issuer: issuer.token(iat=int(time.time()) + 300),
    "for another audience": lambda issuer: issuer.token(aud="another"),
    "for other audiences": lambda issuer: issuer.token(aud=["another", "vault2"]),
    "for an audience of objects": lambda issuer: issuer.token(aud={"vault": True}),
    "without an audience": lambda issuer: issuer.token(aud=None),
    "of another issuer": lambda issuer: issuer.token(iss="https://evil.example.org"),
    "of an issuer with a slash": lambda issuer: issuer.token(iss=issuer.url + "/"),
    "of a list of issuers": lambda issuer: issuer.token(iss=[issuer.url]),
    "without an issuer": lambda issuer: issuer.token(iss=None),
    "algorithm none": lambda issuer: unsigned(issuer, {"alg": "none"}),
    "algorithm None": lambda issuer: unsigned(issuer, {"alg": "None", "kid": "one"}),
    "algorithm missing": lambda issuer: unsigned(issuer, {"kid": "one"}),
    "algorithm a list": lambda issuer: unsigned(issuer, {"alg": ["RS256"], "kid": "one"}),
    "no signature": lambda issuer: unsigned(issuer, {"alg": "RS256", "kid": "one"}),
    "HS256 with the public key in PEM": lambda issuer: with_the_public_key(issuer, "pem"),
    "HS256 with the public key as JWK": lambda issuer: with_the_public_key(issuer, "jwk"),
    "the ID of a key and another key": lambda issuer: issuer.token(STRANGER),
    "a key of its own in the header": lambda issuer: issuer.token(
        STRANGER, {"jwk": STRANGER.as_dict(private=False), "kid": None}
    ),
    "the address of its keys in the header": lambda issuer: issuer.token(
        STRANGER, {"jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil"}
    ),
    "an unknown key": lambda issuer: issuer.token(STRANGER, {"kid": "three"}),
    "a key that is no text": lambda issuer: unsigned(issuer, {"alg": "RS256", "kid": {"a": 1}}),
    "the path of a file as a key": lambda issuer: issuer.token(STRANGER, {"kid": "../../../../dev/null"}),
    "a critical extension": lambda issuer: unsigned(issuer, {"alg": "RS256", "crit": ["x"], "x": 1}),
    "other claims": lambda issuer: changed(issuer.token(), sub="root"),
    "the signature of another token": lambda issuer: ".".join(
        [*issuer.token(sub="root").split(".")[:2], issuer.token().split(".")[2]]
    ),
    "huge": lambda issuer: issuer.token(groups=["g" * 200] * 100),
    "a huge text": lambda issuer: "a" * 100_000 + ".b.c",
    "without a user": lambda issuer: issuer.token(sub=None),
    "an empty user": lambda issuer: issuer.token(sub=""),
    "a user that is a number": lambda issuer: issuer.token(sub=7),
    "a user with a line break": lambda issuer: issuer.token(sub="anna\nroot"),
    "a group that is a number": lambda issuer: issuer.token(groups=[7]),
    "groups that are an object": lambda issuer: issuer.token(groups={"deployers": True}),
    "encrypted": lambda issuer: "a.b.c.d.e",
    "three dots": lambda issuer: "...",
    "empty parts": lambda issuer: "..",
}  # fmt: skip


@pytest.mark.promise
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_no_token_for_us_is_refused(front: Front, issuer: Issuer, attack: str) -> None:
    token = ATTACKS[attack](issuer)
    assert front.refuses(token)
    assert token not in front.refuses(token)
    assert "/evil" not in issuer.asked


def test_an_email_that_was_not_verified_is_no_user(issuer: Issuer) -> None:
    front = Front(issuer, username_claim="email")
    for verified in (False, "true", 1):
        assert "not verified" in front.refuses(issuer.token(email="a@b.org", email_verified=verified))


def test_a_required_claim_is_required(issuer: Issuer) -> None:
    front = Front(issuer, required_claims={"hd": "b.org"})
    for claims in ({}, {"hd": "c.org"}, {"hd": ["b.org"]}):
        assert "--oidc-required-claim" in front.refuses(issuer.token(**claims))


def test_clocks_may_be_a_little_apart(front: Front, issuer: Issuer) -> None:
    few = int(SKEW.total_seconds()) - 10
    now = int(time.time())
    assert front.client(issuer.token(exp=now - few))
    assert front.client(issuer.token(nbf=now + few, iat=now + few))


def test_the_tokens_end_is_the_clients(front: Front, issuer: Issuer) -> None:
    now = datetime.now(UTC)
    end = int(now.timestamp()) + 100
    found = front.client(issuer.token(exp=end), now)
    assert found.until == datetime.fromtimestamp(end, UTC) + SKEW
    for far in (10**15, 10**400):
        found = front.client(issuer.token(exp=far), now)
        assert found.until is not None


def test_a_new_key_is_fetched_and_a_withdrawn_one_forgotten(tmp_path: Path) -> None:
    with issuing(tmp_path, rsa("old")) as issuer:
        front = Front(issuer)
        old = issuer.token()
        assert front.client(old)
        issuer.keys = [rsa("new")]
        assert "no key of that ID" in front.refuses(issuer.token())
        front.later += 11
        assert front.client(issuer.token())
        assert "no key of that ID" in front.refuses(old)


def test_unknown_keys_do_not_have_the_issuer_asked_without_end(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        front = Front(issuer)
        assert front.client(issuer.token())
        before = len(issuer.asked)
        for number in range(50):
            front.refuses(issuer.token(STRANGER, {"kid": str(number)}))
        assert len(issuer.asked) - before <= 2


def test_an_issuer_that_is_away_refuses_its_tokens_and_is_asked_again(tmp_path: Path) -> None:
    with issuing(tmp_path) as issuer:
        front = Front(issuer)
        issuer.away = True
        assert "does not answer" in front.refuses(issuer.token())
        issuer.away = False
        front.later += 11
        assert front.client(issuer.token())
        issuer.away = True
        front.later += 600
        assert front.client(issuer.token()), "keys are kept for a while"


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_text_is_a_defect(front: Front, text: str) -> None:
    front.refuses(text)


@given(st.data())
def test_no_change_of_a_token_is_let_in(front: Front, issuer: Issuer, data: st.DataObject) -> None:
    token = issuer.token()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(max_codepoint=300).filter(lambda each: each != token[at]))
    changed_token = token[:at] + other + token[at + 1 :]
    # The last character of a part has bits that say nothing: such a token is the same one.
    if at + 1 in (len(token), *(place for place, each in enumerate(token) if each == ".")):
        return
    front.refuses(changed_token)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"issuer": "http://id.example.org"}, "is not an https:// URL"),
        ({"issuer": "https://"}, "is not an https:// URL"),
        ({"issuer": "https://a:b@id.example.org"}, "contains a login"),
        ({"issuer": "https://id.example.org?x=1"}, "has a query"),
        ({"algorithms": ("HS256",)}, "HS256: accepted are"),
        ({"algorithms": ("none",)}, "none: accepted are"),
        ({"algorithms": ()}, "no algorithm: accepted are"),
    ],
)
def test_settings_that_make_no_sense_are_named(change: dict[str, Any], says: str) -> None:
    right = OidcSettings("https://id.example.org", CLIENT_ID)
    with pytest.raises(ValueError, match=says):
        replace(right, **change)


def test_no_algorithm_works_without_a_private_key() -> None:
    assert not [each for each in ALGORITHMS if each.startswith(("HS", "none"))]
