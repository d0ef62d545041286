"""What the loop does with an agent that is not the one that it enrolled, or says what no agent says."""

from __future__ import annotations

import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.certificates.agents import (
    CONTROLLER_CERTIFICATE,
    CONTROLLER_KEY,
    ENROLMENT_CERTIFICATE,
    ENROLMENT_KEY,
    LIFE,
    keep_controller,
)
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.remote.calls import Activity, Call, LedTo, ListFiles, Processes, ReadMaps, Serves
from reconciler.proxy.remote.line import Line, OtherFilesError
from reconciler.proxy.remote.values import SiteKey
from reconciler.proxy.remote.wire import MAX_BODY
from tests.proxy.remote.agents import NODE
from tests.proxy.remote.hostile import (
    Say,
    certificate,
    hello,
    hostile,
    http,
    replying,
    saying,
)

SITE = SiteKey(kind="services", name="s")
SECONDS = 20.0
SERVER = {
    "name": "one",
    "address": "172.18.0.2:8000",
    "draining": False,
    "up": True,
    "sessions": 0,
    "since": 1.0,
    "check": "",
    "weight": 1,
}
PROCESS = {"pid": 1, "structure": "", "stopping": False, "uptime": 1.0, "serving": True, "servers": [SERVER]}


def asked(line: Line, call: Call | None = None, seconds: float = SECONDS) -> Any:
    return line.ask(call or Serves(pool="web"), time.monotonic() + seconds, SITE, 1)


def problem(
    directory: Path, say: Say, call: Call | None = None, seconds: float = SECONDS, **other: Any
) -> str:
    """The error that comes of an agent that speaks like this."""
    with hostile(directory, say, **other) as there:
        line = there.line()
        with pytest.raises(ProxyError) as caught:
            asked(line, call, seconds)
        assert not isinstance(caught.value, ProxyAwayError), "its HAProxy may be serving"
        line.wire.close()
    assert caught.value.message.startswith(f"node {NODE}: ")
    assert caught.value.message.isprintable()
    return caught.value.message


def test_an_answer_is_what_it_says(tmp_path: Path) -> None:
    with hostile(tmp_path, replying(value=True)) as there:
        line = there.line()
        assert asked(line) is True
        assert asked(line) is True
        line.wire.close()


# Who is there


def test_an_agent_of_another_authority_is_not_asked(tmp_path: Path) -> None:
    keep_controller(tmp_path / "other", datetime.now(UTC))
    other = certificate(tmp_path / "other")
    with hostile(tmp_path, replying(value=True), other) as there:
        with pytest.raises(ProxyError, match="shows a certificate that is not accepted"):
            asked(there.line())
        assert there.heard == []


def test_the_agent_of_another_node_is_not_asked(tmp_path: Path) -> None:
    keep_controller(tmp_path / "authority", datetime.now(UTC))
    other = certificate(tmp_path / "authority", "node-3")
    with hostile(tmp_path, replying(value=True), other) as there:
        with pytest.raises(ProxyError, match="shows a certificate that is not accepted: Hostname mismatch"):
            asked(there.line())
        assert there.heard == []


@pytest.mark.parametrize(
    ("name", "key"),
    [(CONTROLLER_CERTIFICATE, CONTROLLER_KEY), (ENROLMENT_CERTIFICATE, ENROLMENT_KEY)],
)
def test_what_is_not_the_certificate_of_an_agent_is_not_asked(tmp_path: Path, name: str, key: str) -> None:
    authority = tmp_path / "authority"
    keep_controller(authority, datetime.now(UTC))
    pem = (authority / key).read_bytes() + (authority / name).read_bytes()
    with hostile(tmp_path, replying(value=True), pem) as there:
        with pytest.raises(ProxyError, match="shows a certificate that is not accepted"):
            asked(there.line())
        assert there.heard == []


def test_a_certificate_that_has_ended_is_not_asked(tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    keep_controller(authority, datetime.now(UTC))
    ended = certificate(authority, now=datetime.now(UTC) - LIFE - timedelta(hours=2))
    with hostile(tmp_path, replying(value=True), ended) as there:
        with pytest.raises(ProxyError, match="certificate has expired"):
            asked(there.line())
        assert there.heard == []


def test_a_certificate_of_the_node_that_is_not_the_last_one_is_not_asked(tmp_path: Path) -> None:
    """Stolen, or of before the node was enrolled again."""
    shown: list[str] = []
    with hostile(tmp_path, replying(value=True)) as there:

        def refuse(der: bytes) -> bool:
            shown.append(sha256(der).hexdigest())
            return False

        line = there.line(refuse)
        with pytest.raises(ProxyError, match="not the one that was issued last"):
            asked(line)
        assert there.heard == []
    pem = (tmp_path / "agent.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(pem[1] + pem[2])
    assert shown == [sha256(der).hexdigest()]


def test_one_that_says_that_it_is_another_node(tmp_path: Path) -> None:
    said = problem(tmp_path, lambda there, _: there.sendall(hello(node="node-3")))
    assert "says that it is that of node-3" in said


def test_another_version_of_the_protocol_is_said(tmp_path: Path) -> None:
    said = problem(tmp_path, lambda there, _: there.sendall(hello(versions=[2, 3])))
    assert "speaks versions 2, 3 of the protocol, and this controller 1: upgrade the older one" in said


def test_of_several_versions_the_one_that_both_speak_is_taken(tmp_path: Path) -> None:
    def say(there: ssl.SSLSocket, heard: bytes) -> None:
        if heard.startswith(b"GET /hello"):
            there.sendall(hello(versions=[1, 2]))
            return
        body = heard.partition(b"\r\n\r\n")[2] or there.recv(65536)
        there.sendall(http(json.dumps({"id": json.loads(body)["id"], "now": 1.0, "value": True}).encode()))

    with hostile(tmp_path, say) as there:
        line = there.line()
        assert asked(line) is True
        assert any(heard.startswith(b"POST /v1 ") for heard in there.heard)
        line.wire.close()


# What it says


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage",
        b"\x00" * 1000,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        http(b""),
        http(b"x"),
        http(b"[]"),
        http(b"[" * 100_000),
        http(b'{"id": "", "now": 1}'),
        http(b"{}", "500 Oops"),
        http(b"{}", "302 Found"),
    ],
)
def test_garbage_is_an_agent_that_does_not_answer(tmp_path: Path, said: bytes) -> None:
    def say(there: ssl.SSLSocket, heard: bytes) -> None:
        there.sendall(hello() if heard.startswith(b"GET /hello") else said)
        if not heard.startswith(b"GET /hello"):
            there.close()

    problem(tmp_path, say)


def test_an_answer_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * (MAX_BODY + 65536)
    assert f"more than {MAX_BODY // 1024} KiB" in problem(tmp_path, saying(lambda id: long))


def test_one_that_sends_a_byte_now_and_then_has_one_deadline(tmp_path: Path) -> None:
    def say(there: ssl.SSLSocket, heard: bytes) -> None:
        there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            there.sendall(b" ")
            time.sleep(0.05)

    began = time.monotonic()
    assert "did not answer in time" in problem(tmp_path, say, seconds=1.0)
    assert time.monotonic() - began < SECONDS


def test_one_that_says_nothing_has_the_same_deadline(tmp_path: Path) -> None:
    assert "did not answer in time" in problem(tmp_path, lambda there, _: None, seconds=0.5)


def test_the_answer_to_another_request_is_none(tmp_path: Path) -> None:
    answer = json.dumps({"id": "ab" * 16, "now": 1.0, "value": True}).encode()
    assert "answered another request" in problem(tmp_path, saying(lambda id: http(answer)))


def test_an_empty_answer_is_none(tmp_path: Path) -> None:
    assert "empty answer" in problem(tmp_path, replying())


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (Serves(pool="web"), "true"),
        (Serves(pool="web"), 1),
        (Processes(pool="web"), []),
        (Processes(pool="web"), [PROCESS] * 66),
        (Processes(pool="web"), [{**PROCESS, "pid": -1}]),
        (Processes(pool="web"), [{**PROCESS, "structure": "<script>"}]),
        (Processes(pool="web"), [{**PROCESS, "uptime": 1e99}]),
        (Processes(pool="web"), [{**PROCESS, "servers": [SERVER] * 4097}]),
        (Processes(pool="web"), [{**PROCESS, "servers": [{**SERVER, "sessions": -1}]}]),
        (Processes(pool="web"), [{**PROCESS, "servers": [{**SERVER, "name": "a b"}]}]),
        (Processes(pool="web"), [{**PROCESS, "servers": [{**SERVER, "address": "\u001b[2J"}]}]),
        (Processes(pool="web"), [{**PROCESS, "servers": [{**SERVER, "check": "a\nb"}]}]),
        (Processes(pool="web"), [{**PROCESS, "servers": [{**SERVER, "weight": 257}]}]),
        (ReadMaps(names=("routes",), pid=0), {"routes": {"a b": "c"}}),
        (ReadMaps(names=("routes",), pid=0), {"../x": {}}),
        (LedTo(), ["a b"]),
        (Activity(pools=("h001",)), [{"idle": -1, "is_known": True, "open": 0}]),
        (ListFiles(), {"../x": "00"}),
        (ListFiles(), {"a.cfg": "00"}),
    ],
)
def test_what_no_haproxy_says_is_not_understood(tmp_path: Path, call: Call, value: object) -> None:
    assert "is not understood" in problem(tmp_path, replying(value=value), call)


def test_what_a_haproxy_says_is_understood(tmp_path: Path) -> None:
    with hostile(tmp_path, replying(value=[PROCESS])) as there:
        line = there.line()
        (found,) = (each.value for each in asked(line, Processes(pool="web")))
        assert (found.info.pid, found.servers[0].name) == (1, "one")
        line.wire.close()


def test_what_it_says_of_a_failure_has_no_control_characters(tmp_path: Path) -> None:
    failure = {"kind": "failed", "message": "\u001b[2Jowned\r" + "x" * 4000}
    said = problem(tmp_path, replying(failure=failure))
    assert "?[2Jowned?" in said
    assert len(said) < 2100


@pytest.mark.parametrize(("kind", "error"), [("away", ProxyAwayError), ("files", OtherFilesError)])
def test_the_kinds_of_failures(tmp_path: Path, kind: str, error: type[ProxyError]) -> None:
    with hostile(tmp_path, replying(failure={"kind": kind, "message": "x"})) as there:
        line = there.line()
        with pytest.raises(error):
            asked(line)
        line.wire.close()


def test_an_agent_whose_machine_was_started_again_is_asked_again(tmp_path: Path) -> None:
    """Its clock began anew, so the first request seems late to it."""
    late = [True, False]

    def answer(id: str) -> bytes:
        failed = {"failure": {"kind": "late", "message": "x"}} if late.pop(0) else {"value": True}
        return http(json.dumps({"id": id, "now": 1.0, **failed}).encode())

    with hostile(tmp_path, saying(answer)) as there:
        line = there.line()
        assert asked(line) is True
        assert sum(heard.startswith(b"GET /hello") for heard in there.heard) == 2
        line.wire.close()


def test_an_idle_connection_that_was_closed_is_made_again(tmp_path: Path) -> None:
    def say(there: ssl.SSLSocket, heard: bytes) -> None:
        replying(value=True)(there, heard)
        if heard.startswith(b"POST"):
            there.close()

    with hostile(tmp_path, say) as there:
        line = there.line()
        assert [asked(line) for _ in range(3)] == [True, True, True]
        line.wire.close()


def test_one_where_nothing_listens_is_away_itself(tmp_path: Path) -> None:
    with hostile(tmp_path, replying(value=True)) as there:
        pass
    with pytest.raises(ProxyError, match="cannot be asked: Connection refused") as caught:
        asked(there.line())
    assert not isinstance(caught.value, ProxyAwayError)
