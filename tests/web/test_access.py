"""A credential allows all requests; without one only health checks are open; no response repeats a credential."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from reconciler.web.access import OPEN_PATHS, Access, AccessError
from reconciler.web.app import create_app
from reconciler.web.health import Health
from tests.web.asking import Client

TOKEN = "a-token-of-some-length"
LOGIN = "prometheus:correct horse battery"
ACCESS = Access(tokens=[TOKEN], logins=[LOGIN])


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@pytest.fixture
def client() -> Client:
    async def hook(request: object) -> PlainTextResponse:
        return PlainTextResponse("taken")

    app = create_app(
        lambda accept: (b"up 1\n", "text/plain"),
        Health(live=tuple, ready=tuple),
        [Route("/hooks/git", hook), Route("/discovery/proxies", hook)],
        access=ACCESS,
    )
    return Client(app)


@pytest.mark.parametrize("path", OPEN_PATHS)
def test_supervisors_and_signed_webhooks_need_no_credential(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/discovery/proxies", "/no-such-page", "/healthz/"])
def test_everything_else_does(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "up 1" not in answer.text


@pytest.mark.parametrize(
    "header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}", basic(LOGIN)], ids=str.lower
)
def test_a_credential_opens(client: Client, header: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": header})
    assert (answer.status_code, answer.text) == (200, "up 1\n")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {LOGIN}",
        f"Basic {TOKEN}",
        f"Basic {LOGIN}",
        basic(LOGIN.upper()),
        basic(TOKEN),
        f"Digest {TOKEN}",
        "Basic !!!!",
    ],
)
def test_nothing_else_does(client: Client, header: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": header})
    assert answer.status_code == 401
    assert TOKEN not in answer.text


def test_two_headers_are_none(client: Client) -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
    assert client.get("/metrics", headers=headers).status_code == 401


@given(st.text())
def test_no_header_makes_it_fail(header: str) -> None:
    assert ACCESS.allows(header) == (
        header.partition(" ")[0].lower() == "bearer" and header[7:].strip() == TOKEN
    )


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_holds_one_credential_on_each_line(tmp_path: Path) -> None:
    access = Access.read(written(tmp_path / "auth", f"# scraper\nbearer {TOKEN}\n\nBasic {LOGIN}\n"))
    assert access.allows(f"Bearer {TOKEN}")
    assert access.allows(basic(LOGIN))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no credential"),
        ("# nothing\n", "holds no credential"),
        ("SECRET-IN-A-WRONG-PLACE\n", "auth:1: not a credential"),
        (f"bearer {TOKEN}\nbasic SECRET-WITHOUT-A-USER\n", "auth:2: a basic credential is USER:PASSWORD"),
        ("bearer SECRET\n", "auth:1: shorter than 12 characters"),
        ("basic user:SECRET\n", "auth:1: shorter than 12 characters"),
    ],
)
def test_a_bad_file_is_told_by_its_line_and_not_quoted(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(AccessError, match=complaint) as caught:
        Access.read(written(tmp_path / "auth", text))
    assert "SECRET" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="chmod 600"):
        Access.read(written(tmp_path / "auth", f"bearer {TOKEN}\n", mode=0o640))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="No such file"):
        Access.read(tmp_path / "auth")
