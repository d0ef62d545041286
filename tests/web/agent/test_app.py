"""Who may ask an agent, and what comes of it when something else does: each attempt is made on a real agent over TLS."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.certificates import serving
from reconciler.certificates.agents import (
    AUTHORITY,
    CONTROLLER_CERTIFICATE,
    CONTROLLER_KEY,
    ENROLMENT_CERTIFICATE,
    ENROLMENT_KEY,
    LIFE,
    agent_name,
    keep_controller,
    node_request,
    sign_agent,
)
from reconciler.certificates.authority import keep_authority, write_pair
from reconciler.certificates.self_signed import load_key, new_key
from reconciler.proxy.remote.calls import PutFiles
from reconciler.proxy.remote.values import SiteKey
from reconciler.proxy.remote.wire import MAX_BODY
from reconciler.web.agent import app
from tests.proxy.remote.agents import NODE, Agent, agent_in, context_of

SECONDS = 20.0
PROCESSES = {"do": "processes", "pool": "web"}
SITE = {"kind": "services", "name": "s"}


class Clock:
    """The wall's clock of an agent; the certificates are made by the real one."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agent(tmp_path: Path, clock: Clock) -> Iterator[Agent]:
    with agent_in(tmp_path / "agent", clock) as made:
        yield made


def connected(agent: Agent, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    bare = socket.create_connection(("127.0.0.1", agent.server.port), timeout=SECONDS)
    return (context or agent.context()).wrap_socket(bare, server_hostname=agent_name(NODE))


def asked(connection: ssl.SSLSocket, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """The status and the body of the answer to one request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    return answer.status, answer.read()


def request(call: dict[str, Any], **fields: object) -> dict[str, Any]:
    """A request as the loop makes it."""
    until = time.monotonic() + 5
    return {"id": secrets.token_hex(16), "until": until, "site": SITE, "slot": 1, "call": call, **fields}


def told(agent: Agent, **fields: Any) -> dict[str, Any]:
    """What the agent says to a request."""
    with connected(agent) as connection:
        status, body = asked(connection, "POST", "/v1", json.dumps(request(**fields)).encode())
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


def refusal(agent: Agent, context: ssl.SSLContext) -> str:
    """How the agent ends a connection of a client with this context; "" if it answers."""
    try:
        with connected(agent, context) as connection:
            status, _ = asked(connection, "GET", "/hello")
            return "" if status == 200 else f"status {status}"
    except ssl.SSLError as error:
        return error.reason or "TLS"
    except (ConnectionError, http.client.HTTPException) as error:
        return type(error).__name__


def pair_in(directory: Path, certificate: bytes, key: str) -> tuple[Path, Path]:
    files = directory / "other.crt", directory / "other.key"
    files[0].write_bytes(certificate)
    files[1].write_text(key)
    return files


def test_the_controller_is_answered(agent: Agent) -> None:
    assert refusal(agent, agent.context()) == ""
    said = told(agent, call=PROCESSES)
    assert said["failure"]["kind"] == "away"


# Wrong certificates


def test_a_client_without_a_certificate_is_refused(agent: Agent) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(agent.authority / AUTHORITY)
    assert refusal(agent, bare) in ("RemoteDisconnected", "ConnectionResetError")


def test_a_client_of_another_authority_is_refused(agent: Agent, tmp_path: Path) -> None:
    other = tmp_path / "other"
    keep_controller(other, datetime.now(UTC))
    context = context_of(agent.authority, (other / CONTROLLER_CERTIFICATE, other / CONTROLLER_KEY))
    assert "CA" in refusal(agent, context).upper() or "DECRYPT" in refusal(agent, context)


def test_another_agent_cannot_act_as_the_controller(agent: Agent, tmp_path: Path) -> None:
    key = new_key()
    theirs = sign_agent(agent.authority, "node-3", node_request(key), datetime.now(UTC))
    context = context_of(agent.authority, pair_in(tmp_path, theirs, key))
    assert "CERTIFICATE" in refusal(agent, context)


def test_the_enrolment_server_cannot_act_as_the_controller(agent: Agent) -> None:
    pair = agent.authority / ENROLMENT_CERTIFICATE, agent.authority / ENROLMENT_KEY
    assert "CERTIFICATE" in refusal(agent, context_of(agent.authority, pair))


def test_a_client_that_the_authority_made_for_something_else_is_refused(agent: Agent, tmp_path: Path) -> None:
    """TLS lets it in: it is its role that is wrong."""
    made = serving.issue_client(agent.authority, "controller", "vault:admin", LIFE, datetime.now(UTC))
    assert made
    pair = pair_in(tmp_path, made.certificate, made.key.decode())
    assert refusal(agent, context_of(agent.authority, pair)) == "status 403"


def test_a_client_of_the_kubernetes_api_is_refused(agent: Agent, tmp_path: Path) -> None:
    api = tmp_path / "api"
    serving.ensure(api, ["localhost"], datetime.now(UTC))
    made = serving.issue_client(api, "controller", "vault:controllers", LIFE, datetime.now(UTC))
    assert made
    context = context_of(agent.authority, pair_in(tmp_path, made.certificate, made.key.decode()))
    assert refusal(agent, context)


def test_a_certificate_that_has_ended_is_refused(agent: Agent, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    key = load_key(new_key())
    authority = keep_authority(agent.authority, "", now)
    ended = authority.client(
        "controller", "vault:controllers", key.public_key(), timedelta(hours=1), now - timedelta(hours=2)
    )
    write_pair(tmp_path, "other.crt", "other.key", ended, key)
    context = context_of(agent.authority, (tmp_path / "other.crt", tmp_path / "other.key"))
    assert "EXPIRED" in refusal(agent, context)


def test_a_connection_that_outlives_its_certificate_is_refused(agent: Agent, clock: Clock) -> None:
    with connected(agent) as connection:
        assert asked(connection, "GET", "/hello")[0] == 200
        clock.ahead = LIFE
        status, body = asked(connection, "GET", "/hello")
    assert (status, b"is valid from" in body) == (403, True)


def test_no_former_version_of_tls_is_spoken(agent: Agent) -> None:
    old = agent.context()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "EOF" in refusal(agent, old) or "VERSION" in refusal(agent, old)


def test_a_session_is_not_resumed(agent: Agent) -> None:
    context = agent.context()
    with connected(agent, context) as first:
        asked(first, "GET", "/hello")
        assert first.session is None or not first.session.has_ticket


# What is sent


@pytest.mark.parametrize("body", [b"", b"x", b"{}", b"[]", b"null", b"\xff", b'{"id": 1}', b"[" * 100_000])
def test_garbage_is_refused_in_a_sentence(agent: Agent, body: bytes) -> None:
    with connected(agent) as connection:
        status, said = asked(connection, "POST", "/v1", body)
        assert status == 200
        failure = json.loads(said)["failure"]
        assert failure["kind"] == "understood"
        assert failure["message"].startswith("the request is not understood")
        # It goes on.
        assert asked(connection, "GET", "/hello")[0] == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"call": {"do": "run", "command": "id"}},
        {"call": {**PROCESSES, "pool": "web; show sess"}},
        {"call": {**PROCESSES, "pool": "web\nshow sess"}},
        {"call": {**PROCESSES, "more": 1}},
        {"call": {"do": "drain-servers", "pool": "web", "names": ["one; shutdown sessions"]}},
        {"call": {"do": "change-maps", "maps": {"../x": {"a": "b"}}}},
        {"call": {"do": "change-maps", "maps": {"routes": {"a b": "c"}}}},
        {"call": {"do": "reload", "pool": "web", "expected": "x", "every_pool": False}},
        {"call": PROCESSES, "site": {"kind": "services", "name": "../.."}},
        {"call": PROCESSES, "site": {"kind": "identity", "name": "s"}},
        {"call": PROCESSES, "site": {"kind": "services", "name": "/etc"}},
        {"call": PROCESSES, "slot": "1"},
        {"call": PROCESSES, "slot": -1},
        {"call": PROCESSES, "version": 2},
    ],
)
def test_what_is_no_call_of_the_protocol_is_not_carried_out(agent: Agent, fields: dict[str, Any]) -> None:
    assert told(agent, **fields)["failure"]["kind"] == "understood"


@pytest.mark.parametrize(
    "name",
    [
        "../identity/agent.pem",
        "/etc/passwd",
        "tls/../x.cfg",
        "a/b/c.cfg",
        ".hidden.cfg",
        "agent",
        "x.sock/../y.cfg",
    ],
)
def test_a_file_cannot_be_anywhere_else(agent: Agent, name: str) -> None:
    said = told(agent, call={"do": "put-files", "files": {name: "x"}, "gone": []})
    assert said["failure"]["kind"] == "understood"
    said = told(agent, call={"do": "put-files", "files": {}, "gone": [name]})
    assert said["failure"]["kind"] == "understood"


def test_a_link_in_a_directory_of_a_site_leads_nowhere(agent: Agent, tmp_path: Path) -> None:
    """As a HAProxy might make one that may write there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    site = agent.directory / "services" / "s" / "haproxy"
    site.mkdir(parents=True)
    (site / "tls").symlink_to(elsewhere)
    (site / "haproxy.cfg").symlink_to(elsewhere / "secret.cfg")
    (elsewhere / "secret.cfg").write_text("old")
    said = told(agent, call={"do": "put-files", "files": {"tls/a.pem": "x"}, "gone": []})
    assert said["failure"]["kind"] == "failed"
    assert told(agent, call={"do": "put-files", "files": {"haproxy.cfg": "new"}, "gone": []})["value"] is None
    assert [each.name for each in elsewhere.iterdir()] == ["secret.cfg"]
    assert (elsewhere / "secret.cfg").read_text() == "old"
    assert set(told(agent, call={"do": "list-files"})["value"]) == {"haproxy.cfg"}


def test_a_body_that_is_too_long_is_refused(agent: Agent) -> None:
    with connected(agent) as connection:
        connection.sendall(f"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        assert answer.status == 413


def test_an_endless_body_is_refused(agent: Agent) -> None:
    with connected(agent) as connection:
        connection.sendall(b"POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with suppress(OSError):
            for _ in range(MAX_BODY // 0x100000 + 1):
                connection.sendall(chunk)
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        assert answer.status == 413


def test_a_body_that_does_not_come_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWER_SECONDS", 0.2)
    with agent_in(tmp_path / "agent") as agent, connected(agent) as connection:
        connection.sendall(b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        assert answer.status == 503


@pytest.mark.parametrize("path", ["/", "/metrics", "/v0", "/v2", "/v1/x", "/enrol", "/authority"])
def test_nothing_else_is_served(agent: Agent, path: str) -> None:
    with connected(agent) as connection:
        assert asked(connection, "GET", path)[0] == 404
    with connected(agent) as connection:
        assert asked(connection, "GET", "/v1")[0] == 405


# When it is sent


def test_a_request_that_was_recorded_is_not_carried_out_again(agent: Agent) -> None:
    body = json.dumps(request({"do": "put-files", "files": {"haproxy.cfg": "first"}, "gone": []})).encode()
    path = agent.directory / "services" / "s" / "haproxy" / "haproxy.cfg"
    with connected(agent) as connection:
        assert "failure" not in json.loads(asked(connection, "POST", "/v1", body)[1])
        path.write_text("second")
        said = json.loads(asked(connection, "POST", "/v1", body)[1])
    assert (said["failure"]["kind"], "sent before" in said["failure"]["message"]) == ("late", True)
    assert path.read_text() == "second"


def test_a_request_that_lay_in_the_network_is_not_carried_out(agent: Agent) -> None:
    late = request(
        {"do": "put-files", "files": {"haproxy.cfg": "late"}, "gone": []}, until=time.monotonic() - 0.1
    )
    with connected(agent) as connection:
        said = json.loads(asked(connection, "POST", "/v1", json.dumps(late).encode())[1])
    assert (said["failure"]["kind"], "too late" in said["failure"]["message"]) == ("late", True)
    assert not (agent.directory / "services").exists()


def test_a_recorded_connection_is_worth_nothing(agent: Agent) -> None:
    """All bytes that a controller sent, sent again: TLS has no session for them."""
    recorded = bytearray()
    listener = socket.create_server(("127.0.0.1", 0))

    def relay() -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", agent.server.port)) as server:
            back = threading.Thread(target=_pump, args=(server, client, bytearray()), daemon=True)
            back.start()
            _pump(client, server, recorded)

    threading.Thread(target=relay, daemon=True).start()
    line = agent.line(port=listener.getsockname()[1])
    put = PutFiles(files={"haproxy.cfg": "first"}, gone=())
    line.ask(put, time.monotonic() + SECONDS, SiteKey(kind="services", name="s"))
    path = agent.directory / "services" / "s" / "haproxy" / "haproxy.cfg"
    path.write_text("second")
    with socket.create_connection(("127.0.0.1", agent.server.port), timeout=SECONDS) as again:
        again.sendall(recorded)
        again.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while again.recv(65536):
                pass
    assert path.read_text() == "second"
    listener.close()


def test_clients_that_never_finish_their_handshake_keep_the_controller_from_nothing(agent: Agent) -> None:
    idle = [socket.create_connection(("127.0.0.1", agent.server.port), timeout=SECONDS) for _ in range(80)]
    try:
        for each in idle[::2]:
            each.sendall(b"\x16\x03\x01")
        assert told(agent, call=PROCESSES)["failure"]["kind"] == "away"
    finally:
        for each in idle:
            each.close()


def _pump(source: socket.socket, target: socket.socket, copy: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            copy += data
            target.sendall(data)
