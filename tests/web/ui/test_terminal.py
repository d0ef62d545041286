"""The terminal is for admins of this page alone: not for other sites, nor without the token of the session."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from reconciler.cli.api_serving import observing
from reconciler.cli.ui_serving import serving_ui
from reconciler.store.users import Users
from reconciler.web.ui import terminal
from reconciler.wiring import Application, Options, utc_now, wire
from tests.web.kube.instances import FakeInstances, instance
from tests.web.sockets import trust_for_threads
from tests.web.ui.people import PASSWORD, AbsentEngine, store
from tests.web.ui.test_overview import SERVICE

pytestmark = pytest.mark.promise

SECONDS = 60
CONTAINER = "vault-files-web-1"


@dataclass
class Page:
    """A served page."""

    application: Application
    url: str
    instances: FakeInstances

    @property
    def host(self) -> str:
        return self.url.partition("//")[2]

    @property
    def authorities(self) -> Path:
        return self.application.options.state_dir / "api" / "ca.crt"

    @contextmanager
    def person(self, role: str) -> Iterator[httpx.Client]:
        with httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=str(self.authorities)),
            timeout=SECONDS,
        ) as client:
            token = token_of(client.get("/login").text)
            answer = client.post("/login", data={"token": token, "name": role, "password": PASSWORD})
            assert answer.status_code == 303
            yield client

    @contextmanager
    def dial(
        self, person: httpx.Client | None, origin: str | None = "", name: str = "files"
    ) -> Iterator[ClientConnection]:
        cookies = "; ".join(f"{key}={value}" for key, value in person.cookies.items()) if person else ""
        with connect(
            f"wss://{self.host}/live/terminal/{name}",
            ssl=trust_for_threads(self.authorities),
            origin=None if origin is None else origin or self.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": cookies} if cookies else {},
            open_timeout=SECONDS,
            close_timeout=SECONDS,
        ) as connection:
            yield connection

    @contextmanager
    def begin(self, person: httpx.Client, **changes: Any) -> Iterator[ClientConnection]:
        page = person.get("/service/files/terminal")
        first = {
            "token": token_of(page.text),
            "container": CONTAINER,
            "command": "sh -c 'echo hi' 3",
            **changes,
        }
        with self.dial(person) as connection:
            connection.send(json.dumps(first))
            yield connection

    def lines(self) -> list[dict[str, Any]]:
        text = (self.application.options.state_dir / "audit.jsonl").read_text()
        return [each for each in map(json.loads, text.splitlines()) if each["verb"] == "create"]


def token_of(text: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', text)
    assert found
    return found[1]


@pytest.fixture
def page(tmp_path: Path, _cheap: None) -> Iterator[Page]:
    state = tmp_path / "state"
    state.mkdir(mode=0o711)
    application = wire(Options(state_dir=state))
    instances = FakeInstances([instance(), instance("other-web-1", label="other")])
    application.__dict__["engine"] = AbsentEngine(instances)
    for role in ("view", "edit", "admin"):
        Users(state, utc_now).set_password(role, PASSWORD, role)
    for name, port in (("files", 8130), ("other", 8131)):
        store(application, SERVICE.format(name=name, port=port), path=tmp_path / f"{name}.yaml")
    with observing(application) as parts, serving_ui(application, "127.0.0.1:0", parts) as url:
        yield Page(application, url, instances)


def heard(connection: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(connection.recv(timeout=SECONDS))
    return found


def test_an_admin_types_lines_and_sees_what_comes(page: Page) -> None:
    with page.person("admin") as admin, page.begin(admin) as connection:
        assert heard(connection) == {"out": "sh -c echo hi 3\n"}
        connection.send(json.dumps({"line": "hällo"}))
        assert heard(connection) == {"out": "HäLLO\n"}
        connection.send(json.dumps({"end": True}))
        assert heard(connection) == {"err": "warning\n"}
        assert heard(connection) == {"ended": 3}
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=SECONDS)
        assert connection.close_code == 1000
    assert page.instances.executions[0].closed.wait(SECONDS)
    asked, done = page.lines()
    assert (asked["user"], asked["resource"], asked["name"], asked["stage"]) == (
        "admin",
        "pods/exec",
        CONTAINER,
        "asked",
    )
    assert (done["stage"], done["code"]) == ("done", 101)
    # What was typed is not in it.
    assert "llo" not in json.dumps(page.lines())


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://evil.example",
        "http://{host}",
        "https://{host}.evil.example",
        "https://127.0.0.1",
    ],
)
def test_another_site_gets_no_terminal(page: Page, origin: str | None) -> None:
    with page.person("admin") as admin:
        shown = None if origin is None else origin.format(host=page.host)
        with pytest.raises(InvalidStatus) as refused, page.dial(admin, shown):
            pass
        assert refused.value.response.status_code == 403
    assert page.instances.executions == []


@pytest.mark.parametrize("role", ["view", "edit", None])
def test_only_admins_get_a_terminal(page: Page, role: str | None) -> None:
    if role is None:
        with pytest.raises(InvalidStatus) as refused, page.dial(None):
            pass
        assert refused.value.response.status_code == 401
        return
    with page.person(role) as person:
        assert person.get("/service/files/terminal").status_code == 403
        assert "/terminal" not in person.get("/service/files").text
        with pytest.raises(InvalidStatus) as refused, page.dial(person):
            pass
        assert refused.value.response.status_code == 403
    assert page.instances.executions == []


@pytest.mark.parametrize("token", ["", "x", None, 7])
def test_without_the_token_of_the_session_nothing_is_run(page: Page, token: Any) -> None:
    with page.person("admin") as admin, page.person("admin") as other:
        # One of another session, even of the same user.
        token = token_of(other.get("/service/files/terminal").text) if token is None else token
        with page.begin(admin, token=token) as connection:
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=SECONDS)
            assert connection.close_code == terminal.POLICY
    assert page.instances.executions == []
    assert page.lines() == []


@pytest.mark.parametrize("first", [b"\xff", "[]", "no JSON", "[" * 5000, "null"])
def test_a_first_message_that_is_none_ends_it(page: Page, first: Any) -> None:
    with page.person("admin") as admin, page.dial(admin) as connection:
        connection.send(first)
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=SECONDS)
        assert connection.close_code == terminal.POLICY


def test_one_that_says_nothing_is_ended(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "FIRST_SECONDS", 0.05)
    with page.person("admin") as admin, page.dial(admin) as connection:
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=SECONDS)
        assert connection.close_code == terminal.POLICY


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"container": "other-web-1"}, "no such container"),
        ({"container": "nothing"}, "no such container"),
        ({"command": "sh '"}, "cannot be read"),
        ({"command": ""}, "name a command"),
        ({"command": "a\0b"}, "name a command"),
    ],
)
def test_a_mistake_is_said(page: Page, changes: dict[str, Any], says: str) -> None:
    with page.person("admin") as admin, page.begin(admin, **changes) as connection:
        assert says in heard(connection)["problem"]
    assert page.instances.executions == []
    assert [each["stage"] for each in page.lines()] == ["asked", "done"]


def test_it_ends_with_its_session(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "LOOK_SECONDS", 0.05)
    with page.person("admin") as admin, page.begin(admin) as connection:
        assert "out" in heard(connection)
        token = token_of(admin.get("/").text)
        assert admin.post("/logout", data={"token": token}).status_code == 303
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=SECONDS)
        assert connection.close_code == terminal.POLICY
    assert page.instances.executions[0].closed.wait(SECONDS)


def test_what_the_audit_log_cannot_have_is_not_run(page: Page) -> None:
    with page.person("admin") as admin:
        log = page.application.options.state_dir / "audit.jsonl"
        log.unlink()
        log.mkdir()
        with page.begin(admin) as connection, pytest.raises(ConnectionClosed):
            connection.recv(timeout=SECONDS)
    assert page.instances.executions == []
