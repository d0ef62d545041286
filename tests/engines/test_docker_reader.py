"""Questions over the engine's socket: what is answered, what is refused, and what becomes of a connection that ends."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler.engines.docker_api import DockerApi
from reconciler.engines.errors import EngineAwayError, EngineError

ROWS = [{"Id": "a" * 64}]


class Server(socketserver.ThreadingUnixStreamServer):
    """An HTTP server on a UNIX socket; answers are (status, text) by path, and asked is what came."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Handler)
        self.url = f"unix://{path}"
        self.answers: dict[str, tuple[int, str]] = {"/containers/json": (200, json.dumps(ROWS))}
        self.asked: list[str] = []
        self.connections = 0
        self.hangs_up = False


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, as the engine does."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, text = self.server.answers[urlsplit(self.path).path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())
        self.close_connection = self.server.hangs_up

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "engine.sock") as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def api(server: Server) -> Iterator[DockerApi]:
    made = DockerApi(server.url)
    yield made
    made.close()


def test_rows_of_a_project_are_asked_for_by_its_label(server: Server, api: DockerApi) -> None:
    assert api.rows("vault-files") == ROWS
    query = parse_qs(urlsplit(server.asked[0]).query)
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"label": ["com.docker.compose.project=vault-files"]}


def test_one_connection_serves_many_questions(server: Server, api: DockerApi) -> None:
    for _ in range(5):
        api.rows()
    assert server.connections == 1


def test_a_connection_that_was_closed_is_opened_again(server: Server, api: DockerApi) -> None:
    server.hangs_up = True
    for _ in range(3):
        assert api.rows() == ROWS
    assert server.connections == 3


@pytest.mark.parametrize(
    ("status", "message", "missing"),
    [
        (404, "No such container: x", True),
        (409, "removal of container x is already in progress", True),
        (409, "is paused", False),
        (500, "driver failed", False),
    ],
)
def test_a_refusal_names_the_engines_reason(
    server: Server, api: DockerApi, status: int, message: str, missing: bool
) -> None:
    server.answers["/containers/x/json"] = (status, json.dumps({"message": message}))
    with pytest.raises(EngineError, match=f"could not inspect: {message}"):
        api.read("inspect", "/containers/x/json", {})
    if missing:
        assert api.read("inspect", "/containers/x/json", {}, missing=None) is None
    else:
        with pytest.raises(EngineError, match=message):
            api.read("inspect", "/containers/x/json", {}, missing=None)
    assert api.rows() == ROWS, "the connection goes on"


def test_an_answer_that_is_no_json_is_an_error(server: Server, api: DockerApi) -> None:
    server.answers["/containers/json"] = (200, "<html>")
    with pytest.raises(EngineError, match="no JSON"):
        api.rows()


def test_an_engine_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(EngineAwayError, match="is dockerd running"):
        DockerApi(f"unix://{tmp_path}/nobody.sock").rows()


def test_an_engine_that_says_nothing_is_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engines.docker_api.CALL_SECONDS", 0.2)
    server.get_request = lambda: (_ for _ in ()).throw(OSError())  # type: ignore[method-assign]
    with pytest.raises(EngineAwayError):
        DockerApi(server.url).rows()


def test_reading_does_not_import_the_sdk(server: Server) -> None:
    program = (
        "import sys; from reconciler.engines.docker_api import DockerApi; "
        "print(len(DockerApi(sys.argv[1]).rows()), 'docker' in sys.modules, 'requests' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, server.url], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "False", "False"]


@pytest.fixture
def real() -> Iterator[DockerApi]:
    made = DockerApi()
    yield made
    made.close()


@pytest.mark.docker
def test_the_engine_answers_as_it_does_to_the_sdk(real: DockerApi) -> None:
    by_id = {row["Id"]: row["Names"] for row in real.rows()}
    for row in real.client().containers(all=True):
        assert by_id.get(row["Id"], row["Names"]) == row["Names"]
    version = real.read("say its version", "/version", {})
    assert version["ApiVersion"] == real.client().version(api_version=False)["ApiVersion"]


@pytest.mark.docker
def test_a_remote_engine_is_asked_through_the_sdk(real: DockerApi) -> None:
    # What is not on this machine is whatever has another URL; the SDK reaches the same engine by this one.
    real.host = "http+unix:///var/run/docker.sock"
    assert not real.is_local
    assert real.read("say its version", "/version", {})["ApiVersion"]
    assert real.read("inspect", "/containers/nothing/json", {}, missing=None) is None
