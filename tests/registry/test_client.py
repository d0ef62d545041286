"""Questions to a registry: pages, digests, tokens, ETags, pauses, and answers that are not to be trusted."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler.core.images.reference import Reference, read_reference
from reconciler.registry import NoAccessError, RegistryClient, RegistryError, UnknownImageError
from reconciler.registry import client as module
from reconciler.registry.credentials import Login
from reconciler.registry.http import DEADLINE, MAX_BYTES, SILENCE, http_for, is_local
from tests.registry.server import Asked, Said, Server, serving

DIGEST = "sha256:" + "c" * 64
SECRET = "hunter22"
BASIC = "Basic " + base64.b64encode(f"anna:{SECRET}".encode()).decode()
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@dataclass
class Known:
    """Credentials that a test knows."""

    logins: dict[str, Login] = field(default_factory=dict)
    place: str = "config.json"

    def of(self, registry: str) -> Login | None:
        return next(iter(self.logins.values()), None)


@dataclass
class Scene:
    """A client and its registry; `time` is what the client's clock says."""

    server: Server
    client: RegistryClient
    known: Known
    time: list[float]

    @property
    def image(self) -> Reference:
        found = read_reference(f"{self.server.host}/team/app:1.4")
        assert found is not None
        return found


@contextmanager
def scene(
    say: Callable[[Asked], Said], *, silence: float = SILENCE, deadline: float = DEADLINE
) -> Iterator[Scene]:
    known, time = Known(), [0.0]
    with serving(say) as server:
        http = http_for({}, Path("/nowhere"), silence, deadline)
        yield Scene(server, RegistryClient(http, known, lambda: time[0], lambda: NOW), known, time)


def listed(*tags: object, **headers: str) -> Said:
    return Said(
        headers={name.title(): text for name, text in headers.items()},
        body=json.dumps({"tags": tags}).encode(),
    )


# Tags and digests


def test_tags_are_listed_and_what_can_be_no_tag_is_left_out() -> None:
    with scene(
        lambda asked: listed("1.4", "latest", "1.4", "a b", "\x1b[1m", 5, None, "-x", "x" * 200)
    ) as on:
        assert on.client.tags(on.image) == ("1.4", "latest")
        assert on.server.lines == ["GET /v2/team/app/tags/list?n=1000"]
        assert on.server.asked[0].headers["accept-encoding"] == "identity"
        assert "authorization" not in on.server.asked[0].headers


def test_an_empty_repository_has_no_tags() -> None:
    with scene(lambda asked: Said(body=b'{"name": "team/app", "tags": null}')) as on:
        assert on.client.tags(on.image) == ()


def test_pages_are_followed() -> None:
    def say(asked: Asked) -> Said:
        if "last=1.5" in asked.path:
            return listed("1.6")
        return listed("1.4", "1.5", link='</v2/team/app/tags/list?n=1000&last=1.5>; rel="next"')

    with scene(say) as on:
        assert on.client.tags(on.image) == ("1.4", "1.5", "1.6")


def test_pages_without_end_and_in_other_places_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 3)
    link = ["</v2/team/app/tags/list?n=1000&last=1.5>; rel=next"]
    with scene(lambda asked: listed("1.4", link=link[0])) as on:
        with pytest.raises(RegistryError, match="has more than 3000 tags, or its list has no end"):
            on.client.tags(on.image)
        assert len(on.server.asked) == 3
    for elsewhere in ("http://192.0.2.1/v2/team/app/tags/list", "/v2/other/tags/list", "//evil.test/"):
        link[0] = f'<{elsewhere}>; rel="next"'
        with scene(lambda asked: listed("1.4", link=link[0])) as on:
            with pytest.raises(RegistryError, match="continues its list of tags in another place"):
                on.client.tags(on.image)
            assert len(on.server.asked) == 1
    link[0] = "<https://[evil.test/>; rel=next"
    with (
        scene(lambda asked: listed("1.4", link=link[0])) as on,
        pytest.raises(RegistryError, match="names no address for the rest"),
    ):
        on.client.tags(on.image)


def test_slow_pages_have_an_end() -> None:
    """Each page in time, and all of them in hours: the other registries would wait."""
    clock: list[float] = []

    def say(asked: Asked) -> Said:
        clock[0] += 39
        return listed("1.4", link="</v2/team/app/tags/list?n=1000&last=1.5>; rel=next")

    with scene(say) as on:
        clock = on.time
        with pytest.raises(RegistryError, match="has not answered all that was asked in 120 s"):
            on.client.tags(on.image)
        assert len(on.server.asked) == 4


def test_a_digest_is_that_of_the_header() -> None:
    with scene(lambda asked: Said(headers={"Docker-Content-Digest": DIGEST})) as on:
        assert on.client.digest(on.image) == DIGEST
        assert on.server.lines == ["HEAD /v2/team/app/manifests/1.4"]
        assert "application/vnd.oci.image.index.v1+json" in on.server.asked[0].headers["accept"]


@pytest.mark.parametrize("header", ["", "sha256:12", "sha512:" + "c" * 128, "\x1b[1m"])
def test_a_digest_that_the_header_does_not_tell_is_that_of_the_manifest(header: str) -> None:
    body = b'{"schemaVersion": 2}'
    with scene(lambda asked: Said(headers={"Docker-Content-Digest": header}, body=body)) as on:
        assert on.client.digest(on.image) == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_a_registry_that_knows_no_head_is_asked_for_the_whole() -> None:
    with scene(lambda asked: Said(405) if asked.method == "HEAD" else Said(body=b"{}")) as on:
        assert on.client.digest(on.image) == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


def test_what_there_is_not() -> None:
    with scene(lambda asked: Said(404)) as on:
        with pytest.raises(UnknownImageError, match=r"has no team/app$"):
            on.client.tags(on.image)
        with pytest.raises(UnknownImageError, match=r"has no 127\.0\.0\.1:[0-9]+/team/app:1\.4$"):
            on.client.digest(on.image)


# Conditional requests


def test_an_unchanged_answer_is_not_sent_again() -> None:
    tag = ['"one"']

    def say(asked: Asked) -> Said:
        if asked.headers.get("if-none-match") == tag[0]:
            return Said(304)
        if asked.method == "HEAD":
            return Said(headers={"Docker-Content-Digest": DIGEST, "ETag": tag[0]})
        return listed(tag[0].strip('"'), etag=tag[0])

    with scene(say) as on:
        assert [on.client.tags(on.image) for _ in range(2)] == [("one",), ("one",)]
        assert [on.client.digest(on.image) for _ in range(2)] == [DIGEST, DIGEST]
        assert ["if-none-match" in each.headers for each in on.server.asked] == [False, True, False, True]
        tag[0] = '"two"'
        assert on.client.tags(on.image) == ("two",)


def test_of_several_pages_none_is_taken_for_all() -> None:
    def say(asked: Asked) -> Said:
        assert "if-none-match" not in asked.headers
        if "last" in asked.path:
            return listed("1.6", etag='"b"')
        return listed("1.4", etag='"a"', link="</v2/team/app/tags/list?n=1000&last=1>; rel=next")

    with scene(say) as on:
        assert on.client.tags(on.image) == on.client.tags(on.image) == ("1.4", "1.6")


# Credentials


class Tokens:
    """A registry that wants a bearer token, and the server that gives it."""

    def __init__(self, life: object = 300, realm: str = "http://{host}/token?x=1", status: int = 200) -> None:
        self.life, self.realm, self.status, self.given = life, realm, status, 0

    def __call__(self, asked: Asked) -> Said:
        if asked.path.startswith("/token"):
            self.given += 1
            body = {"token": f"token-{self.given}", "expires_in": self.life}
            return Said(self.status, body=json.dumps(body).encode())
        if asked.headers.get("authorization", "").startswith("Bearer token-"):
            return listed("1.4")
        realm = self.realm.format(host=asked.headers["host"])
        return Said(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s t",scope="evil:*"'})


def test_a_token_is_had_once_and_only_for_pulling() -> None:
    with scene(Tokens()) as on:
        on.known.logins["any"] = Login("anna", SECRET)
        assert on.client.tags(on.image) == on.client.tags(on.image) == ("1.4",)
        first, token, *rest = on.server.asked
        assert "authorization" not in first.headers
        assert token.headers["authorization"] == BASIC
        assert parse_qs(urlsplit(token.path).query) == {
            "x": ["1"], "scope": ["repository:team/app:pull"], "service": ["s t"],
        }  # fmt: skip
        assert [each.headers["authorization"] for each in rest] == ["Bearer token-1"] * 2


def test_a_token_is_not_used_to_its_end() -> None:
    with scene(Tokens(life=60)) as on:
        on.client.tags(on.image)
        on.time[0] = 49
        on.client.tags(on.image)
        assert [each for each in on.server.lines if "token" in each] == [
            "GET /token?x=1&scope=repository%3Ateam%2Fapp%3Apull&service=s+t"
        ]
        on.time[0] = 51
        on.client.tags(on.image)
        assert sum("token" in each for each in on.server.lines) == 2


@pytest.mark.parametrize(
    "life", [None, "60", -1, 0, float("nan"), float("inf"), True, pytest.param(10**400, id="huge")]
)
def test_any_life_of_a_token_is_bounded(life: object) -> None:
    with scene(Tokens(life=life)) as on:
        on.client.tags(on.image)
        on.time[0] = 3600
        on.client.tags(on.image)
        assert sum("token" in each for each in on.server.lines) == 2


def test_an_identity_token_is_exchanged() -> None:
    with scene(Tokens()) as on:
        on.known.logins["any"] = Login("", "", SECRET)
        assert on.client.tags(on.image) == ("1.4",)
        asked = on.server.asked[1]
        assert asked.method == "POST"
        assert parse_qs(asked.body)["refresh_token"] == [SECRET]
        assert SECRET not in asked.path


def test_a_password_is_sent_when_that_is_wanted() -> None:
    def say(asked: Asked) -> Said:
        if asked.headers.get("authorization") == BASIC:
            return listed("1.4")
        return Said(401, {"WWW-Authenticate": "Basic realm=r"})

    with scene(say) as on:
        with pytest.raises(
            NoAccessError, match=r"wants credentials, or has no such image; config\.json has none for it"
        ):
            on.client.tags(on.image)
        on.known.logins["any"] = Login("anna", SECRET)
        assert on.client.tags(on.image) == on.client.tags(on.image) == ("1.4",)
        assert [each.headers.get("authorization") for each in on.server.asked[1:]] == [None, BASIC, BASIC]


@pytest.mark.parametrize(
    "say",
    [
        lambda asked: Said(401, {"WWW-Authenticate": "Basic realm=r"}),
        lambda asked: Said(403),
        Tokens(status=401),
        Tokens(status=403),
    ],
)
def test_wrong_credentials_are_told_without_them(say: Callable[[Asked], Said]) -> None:
    with scene(say) as on:
        on.known.logins["any"] = Login("anna", SECRET)
        for _ in range(2):
            with pytest.raises(
                NoAccessError, match=r"refuses the credentials of config\.json; log in"
            ) as error:
                on.client.tags(on.image)
            assert SECRET not in str(error.value)
            assert "anna" not in str(error.value)
        # New credentials are used at once.
        assert len(on.server.asked) >= 2


@pytest.mark.parametrize(
    "realm", [
        "http://auth.test/token", "", "file:///etc/passwd", "https://a:b@{host}/", "/token", "https://[{host}/",
    ],
)  # fmt: skip
def test_a_password_goes_nowhere_in_the_clear(realm: str) -> None:
    with scene(Tokens(realm=realm)) as on:
        on.known.logins["any"] = Login("anna", SECRET)
        with pytest.raises(RegistryError, match="names no https:// address where tokens are to be had"):
            on.client.tags(on.image)
        assert len(on.server.asked) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', b"[" * 100_000])
def test_an_answer_without_a_token(body: bytes) -> None:
    def say(asked: Asked) -> Said:
        if asked.path.startswith("/token"):
            return Said(body=body)
        return Said(401, {"WWW-Authenticate": f'Bearer realm="http://{asked.headers["host"]}/token"'})

    with scene(say) as on, pytest.raises(RegistryError, match="gave an answer without a token"):
        on.client.tags(on.image)


# Pauses


def test_after_a_failure_a_registry_is_left_alone_for_longer_and_longer() -> None:
    status = [500]
    with scene(lambda asked: Said(status[0]) if status[0] != 200 else listed("1.4")) as on:
        for number, pause in enumerate((30, 60, 120), 1):
            with pytest.raises(RegistryError, match="answers 500") as error:
                on.client.tags(on.image)
            assert error.value.delay == pause
            on.time[0] += pause - 1
            with pytest.raises(RegistryError, match="answers 500") as error:
                on.client.tags(on.image)
            assert error.value.delay == 1
            assert len(on.server.asked) == number
            on.time[0] += 1
        status[0] = 200
        assert on.client.tags(on.image) == ("1.4",)
        status[0] = 500
        with pytest.raises(RegistryError) as error:
            on.client.tags(on.image)
        assert error.value.delay == 30


@pytest.mark.parametrize(
    ("wish", "delay"),
    [
        ("900", 900),
        ("Fri, 01 May 2026 12:10:00 GMT", 600),
        ("999999999", 86400),
        ("5", 30),
        ("soon", 30),
        ("Fri, 01 May 2020 12:10:00 GMT", 30),
        ("Fri, 99999999999999999999 May 2026 12:10:00 GMT", 30),
        ("Fri, 01 May 2026 12:10:00 +99999999999999999999", 30),
    ],
)
def test_a_registry_may_ask_for_a_pause(wish: str, delay: float) -> None:
    with (
        scene(lambda asked: Said(429, {"Retry-After": wish})) as on,
        pytest.raises(RegistryError, match="wants fewer requests") as error,
    ):
        on.client.tags(on.image)
    assert error.value.delay == delay


def test_what_does_not_exist_is_no_reason_for_a_pause() -> None:
    with scene(lambda asked: Said(404) if "other" in asked.path else listed("1.4")) as on:
        other = read_reference(f"{on.server.host}/other:1")
        assert other is not None
        with pytest.raises(UnknownImageError):
            on.client.tags(other)
        assert on.client.tags(on.image) == ("1.4",)


# Answers that are not to be trusted


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"tags": 5}', b"<html>", b"[" * 100_000])
def test_an_answer_that_is_no_list(body: bytes) -> None:
    with (
        scene(lambda asked: Said(body=body)) as on,
        pytest.raises(RegistryError, match="gave no list of tags"),
    ):
        on.client.tags(on.image)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 418, 502])
def test_a_redirect_is_not_followed_and_a_refusal_is_told(status: int) -> None:
    with scene(lambda asked: Said(status, {"Location": "http://192.0.2.1/"})) as on:
        with pytest.raises(RegistryError, match=f"answers {status}"):
            on.client.tags(on.image)
        assert len(on.server.asked) == 1


def test_an_answer_has_a_length() -> None:
    with (
        scene(lambda asked: Said(body=b" " * (MAX_BYTES + 1))) as on,
        pytest.raises(RegistryError, match="its answer is longer than 4096 KiB"),
    ):
        on.client.tags(on.image)


def test_a_compressed_answer_is_refused() -> None:
    with (
        scene(lambda asked: Said(headers={"Content-Encoding": "gzip"}, body=b"x")) as on,
        pytest.raises(RegistryError, match="compressed, which was not asked for"),
    ):
        on.client.tags(on.image)


def test_silence_ends() -> None:
    silent = threading.Event()

    def say(asked: Asked) -> Said:
        silent.wait(10)
        return Said()

    with scene(say, silence=0.2) as on:
        with pytest.raises(RegistryError, match=r"gave no answer in 0\.2 s"):
            on.client.tags(on.image)
        silent.set()


def test_an_answer_byte_by_byte_has_a_deadline_and_is_not_waited_for_again() -> None:
    done = threading.Event()

    def drip() -> Iterator[bytes]:
        while not done.wait(0.05):
            yield b" "

    with scene(lambda asked: Said(pieces=drip), silence=5.0, deadline=0.4) as on:
        with pytest.raises(RegistryError, match=r"did not finish its answer in 0\.4 s"):
            on.client.tags(on.image)
        on.time[0] = 1000
        with pytest.raises(RegistryError, match="has not finished its answer to an earlier request"):
            on.client.tags(on.image)
        assert len(on.server.asked) == 1
        done.set()


def test_a_registry_that_is_away() -> None:
    with serving(lambda asked: Said()) as server:
        gone = read_reference(f"{server.host}/app:1")
    assert gone is not None
    client = RegistryClient(http_for({}), Known(), lambda: 0.0)
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:[0-9]+ cannot be reached: Connection refused"):
        client.tags(gone)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        *(("localhost:5000", True), ("127.0.0.1", True), ("127.9.9.9:1", True), ("[::1]:5", True)),
        *(("r.test", False), ("127.evil.test", False), ("localhost.test", False), ("10.0.0.1:5000", False)),
    ],
)
def test_only_this_machine_is_asked_without_tls(host: str, plain: bool) -> None:
    assert is_local(host) is plain
