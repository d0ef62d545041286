"""Reads of the engine's API, by its UNIX socket and by the Docker SDK: the same answers and the same errors."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from reconciler.engines.compose import reads
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.reads import SocketReads, target_of
from reconciler.engines.errors import EngineAwayError, EngineError
from tests.descriptors import sockets
from tests.engines.compose.fake_engine import MISSING, VERSION, FakeEngine, TcpServer, UnixServer, at_socket


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    """An engine at a UNIX socket."""
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        yield engine


@pytest.fixture(params=["socket", "library"])
def ways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[FakeEngine, DockerApi]]:
    """An engine, and how it is asked."""
    if request.param == "socket":
        engine = at_socket(tmp_path / "engine.sock")
        url = f"unix://{engine.address}"
    else:
        engine = FakeEngine(lambda handler: TcpServer(("127.0.0.1", 0), handler))
        url = f"tcp://127.0.0.1:{engine.address[1]}"
    with closing(engine), closing(DockerApi(url)) as api:
        yield engine, api


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_is_data(ways: tuple[FakeEngine, DockerApi], chunked: bool) -> None:
    engine, api = ways
    engine.chunked = chunked
    engine.answers[f"/v{VERSION}/containers/ab/json"] = (200, b'{"Id": "ab", "Name": "gr\\u00fc\xc3\x9fe"}')
    assert api.read("inspect", "/containers/{}/json", "ab") == {"Id": "ab", "Name": "grüße"}


def test_an_answer_is_bytes(ways: tuple[FakeEngine, DockerApi]) -> None:
    engine, api = ways
    engine.answers[f"/v{VERSION}/tasks/ab/logs?stdout=1"] = (200, b"\x01\0one")
    engine.answers[f"/v{VERSION}/tasks/cd/logs"] = (500, b'{"message": "no node answers"}')
    query = {"stdout": 1}
    assert api.content("read logs", "/tasks/{}/logs", "ab", query=query, missing=b"") == b"\x01\0one"
    assert api.content("read logs", "/tasks/{}/logs", "none", query=query, missing=b"-") == b"-"
    with pytest.raises(EngineError, match="the engine could not read logs: no node answers"):
        api.content("read logs", "/tasks/{}/logs", "cd", missing=b"")


def test_what_is_sent_has_a_body_and_an_answer(ways: tuple[FakeEngine, DockerApi]) -> None:
    engine, api = ways
    answers = {"POST": (201, b'{"ID": "ab"}'), "DELETE": (200, b"")}
    engine.answer_sent = lambda method, target: MISSING if "none" in target else answers[method]
    made = api.send("create a config", "POST", "/configs/create", body={"Name": "grün"}, query={"version": 3})
    assert made == {"ID": "ab"}
    (method, target, body) = engine.sent[-1]
    assert (method, target) == ("POST", f"/v{VERSION}/configs/create?version=3")
    assert json.loads(body) == {"Name": "grün"}
    assert api.send("remove a config", "DELETE", "/configs/{}", "ab") is None
    assert api.send("remove a config", "DELETE", "/configs/{}", "none", missing="gone") == "gone"
    answers["POST"] = (400, b'{"message": "invalid name"}')
    with pytest.raises(EngineError, match="the engine could not create a config: invalid name"):
        api.send("create a config", "POST", "/configs/create", body={})
    with pytest.raises(EngineError, match="the engine could not remove a config: no such object"):
        api.send("remove a config", "DELETE", "/configs/{}", "none")


def test_the_list_of_containers_is_filtered_by_the_engine(ways: tuple[FakeEngine, DockerApi]) -> None:
    engine, api = ways
    filters = "%7B%22label%22%3A+%5B%22com.docker.compose.project%3Dvault-files%22%5D%7D"
    engine.answers[f"/v{VERSION}/containers/json?all=1&filters={filters}"] = (200, b'[{"Id": "ab"}]')
    engine.answers[f"/v{VERSION}/containers/json?all=1&filters=%7B%7D"] = (200, b"[]")
    assert api.rows_of("vault-files") == [{"Id": "ab"}]
    assert api.rows() == []


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "No such container: ab"), (409, "removal of container ab is already in progress")],
)
def test_what_is_missing_has_its_own_answer(
    ways: tuple[FakeEngine, DockerApi], status: int, message: str
) -> None:
    engine, api = ways
    engine.answers[f"/v{VERSION}/containers/ab/json"] = (status, json.dumps({"message": message}).encode())
    assert api.read("inspect", "/containers/{}/json", "ab", missing=None) is None
    with pytest.raises(EngineError, match=f"^the engine could not inspect: {message}$"):
        api.read("inspect", "/containers/{}/json", "ab")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b'{"message": "disk full"}', "disk full"),
        (403, b"not on the list\n", "not on the list"),
        (409, b'{"message": "is paused"}', "is paused"),
        (502, b'["no message"]', '["no message"]'),
        (301, b'{"message": "elsewhere"}', "elsewhere"),
        (200, b"<html>", "its answer is not JSON or was cut"),
        (200, b"", "its answer is not JSON or was cut"),
    ],
)
def test_a_refusal_is_told_in_the_engines_words(
    ways: tuple[FakeEngine, DockerApi], status: int, body: bytes, told: str
) -> None:
    engine, api = ways
    engine.answers[f"/v{VERSION}/info"] = (status, body)
    with pytest.raises(EngineError) as caught:
        api.read("say what it is", "/info", missing=None)
    assert str(caught.value) == f"the engine could not say what it is: {told}"
    assert type(caught.value) is EngineError


def test_an_answer_that_was_cut_is_an_error(fake: FakeEngine) -> None:
    fake.answers[f"/v{VERSION}/info"] = (200, b'{"ServerVersion": "26.1.5"}')
    api = DockerApi(f"unix://{fake.address}")
    assert api.read("say what it is", "/info") == {"ServerVersion": "26.1.5"}
    fake.cut = True
    # The version is known by now, so that this is the answer which is cut.
    with pytest.raises(EngineError, match="its answer is not JSON or was cut"):
        api.read("say what it is", "/info")


def test_an_endless_answer_is_not_read_to_its_end(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "MAX_BYTES", 1000)
    fake.answers[f"/v{VERSION}/info"] = (200, b'"' + b"a" * 1000 + b'"')
    with pytest.raises(EngineError, match=r"GET /v1\.45/info is longer than 1000 bytes"):
        DockerApi(f"unix://{fake.address}").read("say what it is", "/info")


def test_an_engine_that_is_not_there_is_away(ways: tuple[FakeEngine, DockerApi], library_leaks: None) -> None:
    engine, api = ways
    engine.close()
    with pytest.raises(EngineAwayError, match=r"does not answer; is dockerd running\?"):
        api.read("say what it is", "/info", missing=None)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_what_is_no_engine_is_away(tmp_path: Path, said: bytes) -> None:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(said)

    path = tmp_path / "other.sock"
    with UnixServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        with pytest.raises(EngineAwayError):
            DockerApi(f"unix://{path}").read("say what it is", "/info")
        server.shutdown()
        thread.join()


def test_an_engine_that_hangs_or_dribbles_is_given_up(tmp_path: Path) -> None:
    done = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not done.wait(0.02):
                try:
                    self.request.sendall(b"a")
                except OSError:
                    return

    path = tmp_path / "slow.sock"
    with UnixServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            SocketReads(str(path), 0.2).get("/info")
        assert time.monotonic() - began < 10
        done.set()
        server.shutdown()
        thread.join()


def test_the_version_is_asked_once_and_again_when_it_is_refused(fake: FakeEngine) -> None:
    asked = SocketReads(fake.address, 5)
    fake.answers[f"/v{VERSION}/info"] = (200, b"{}")
    asked.get("/info")
    asked.get("/info")
    assert fake.asked == ["/version", f"/v{VERSION}/info", f"/v{VERSION}/info"]
    fake.answers[f"/v{VERSION}/info"] = (400, b'{"message": "client version 1.45 is too old"}')
    fake.version = "1.60"
    fake.answers["/v1.60/info"] = (200, b'{"ServerVersion": "40"}')
    assert asked.get("/info").is_refusal
    assert asked.get("/info").document() == {"ServerVersion": "40"}


@pytest.mark.parametrize("version", [None, "", 7, "1.45/../x", "newest"])
def test_an_engine_without_a_version_is_away(fake: FakeEngine, version: object) -> None:
    fake.version = version
    with pytest.raises(HTTPException, match="which API version"):
        SocketReads(fake.address, 5).get("/info")


def test_events_come_one_by_one_and_outlast_the_timeout(tmp_path: Path) -> None:
    """In pieces that are no whole lines, as a chunked answer may have them."""
    go = threading.Semaphore(0)
    asked: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(65536).partition(b"\r\n")[0])
            if asked[-1].startswith(b"GET /version"):
                self.request.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"ApiVersion": "1.45"}')
                return
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (b'{"Id": 1}\n{"I', b'd": 2}\n', b'{"Id": 3}'):
                go.acquire()
                self.request.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.request.sendall(b"0\r\n\r\n")

    path = tmp_path / "events.sock"
    with UnixServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        api = DockerApi(f"unix://{path}")
        api._reads = SocketReads(str(path), 0.5)
        events = api.events(12.5, {"type": ["container"]})
        go.release()
        assert next(iter(events)) == {"Id": 1}
        threading.Timer(0.7, go.release, (2,)).start()
        assert list(events) == [{"Id": 2}, {"Id": 3}]
        server.shutdown()
        thread.join()
    assert asked[1] == (
        b"GET /v1.45/events?since=12.500000000&filters=%7B%22type%22%3A+%5B%22container%22%5D%7D HTTP/1.1"
    )


def test_a_refused_stream_is_an_error(fake: FakeEngine) -> None:
    fake.answers[f"/v{VERSION}/events"] = (400, b'{"message": "invalid filter"}')
    reading = SocketReads(fake.address, 5)
    with pytest.raises(HTTPException, match=r"^invalid filter$"):
        reading.stream("/events")
    with pytest.raises(HTTPException):
        reading.stream("/events")
    # After a 400 the version is asked for again.
    assert fake.asked.count("/version") == 2


def test_no_connection_is_left_open(fake: FakeEngine) -> None:
    fake.answers[f"/v{VERSION}/info"] = (200, b"{}")
    api = DockerApi(f"unix://{fake.address}")
    api.read("say what it is", "/info")
    before = sockets()
    for _ in range(10):
        api.read("say what it is", "/info")
    # The fake engine's own end may still be closing.
    assert sockets() <= before + 1


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("haproxy:3.0", "/images/haproxy:3.0/json"),
        ("registry.example:5000/a/b@sha256:0f", "/images/registry.example:5000/a/b@sha256:0f/json"),
        ("a?b=c#d", "/images/a%3Fb%3Dc%23d/json"),
        ("a b\r\nX: y", "/images/a%20b%0D%0AX:%20y/json"),
        ("100%", "/images/100%25/json"),
        ("{}", "/images/%7B%7D/json"),
    ],
)
def test_a_name_cannot_say_more_than_itself(name: str, target: str) -> None:
    assert target_of("/images/{}/json", name) == target


@pytest.mark.parametrize(
    ("host", "is_socket"),
    [
        (None, True),
        ("unix:///run/user/1000/docker.sock", True),
        ("unix://var/run/docker.sock", False),
        ("tcp://127.0.0.1:2375", False),
        ("ssh://me@host", False),
    ],
)
def test_only_the_socket_of_a_path_is_read_without_the_library(
    host: str | None, is_socket: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert (DockerApi(host)._reads is not None) is is_socket
