"""The server listens on the given address, answers real connections, and closes them when it is stopped."""

import logging
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.api.errors import PermanentError, VaultError
from reconciler.web import server as server_module
from reconciler.web.server import CLIENT_CERTIFICATE, ListenError, Server, Tls, parse_listen
from tests.web.kube.issuer import Pair, authority, client

TIMEOUT = 60


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(APP, port=0) as running:
        yield running


def test_port_0_becomes_a_real_port_on_loopback_that_answers(server: Server) -> None:
    assert server.host == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.alive
    answer = httpx.get(server.url, timeout=TIMEOUT)
    assert answer.text == "hello"
    assert "server" not in answer.headers


def test_requests_side_by_side_are_all_answered(server: Server) -> None:
    with httpx.Client(timeout=TIMEOUT) as client:
        results: list[int] = []
        threads = [
            threading.Thread(target=lambda: results.append(client.get(server.url).status_code))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert results == [200] * 16


def test_a_request_writes_no_log_line(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="uvicorn")
    with caplog.at_level("INFO"):
        httpx.get(server.url, timeout=TIMEOUT)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_a_stopped_server_is_gone_and_its_port_free_at_once() -> None:
    with Server(APP, port=0) as first:
        port = first.port
        httpx.get(first.url, timeout=TIMEOUT)
    assert not first.alive
    assert "web" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(ConnectionRefusedError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        pass
    with Server(APP, port=port) as second:
        assert httpx.get(second.url, timeout=TIMEOUT).text == "hello"


def test_stopping_waits_for_the_request_that_runs() -> None:
    arrived, release = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        arrived.set()
        release.wait(TIMEOUT)
        return PlainTextResponse("done")

    running = Server(Starlette(routes=[Route("/", slow)]), port=0)
    running.start()
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(running.url, timeout=TIMEOUT).text))
    asking.start()
    assert arrived.wait(TIMEOUT)
    stopping = threading.Thread(target=running.stop)
    stopping.start()
    time.sleep(0.2)
    assert stopping.is_alive()
    release.set()
    stopping.join(TIMEOUT)
    asking.join(TIMEOUT)
    assert answers == ["done"]
    assert not running.alive


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_body_that_is_no_http_ends_the_connection_and_is_no_error(
    server: Server, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    request = f"{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n"
    with closing(socket.create_connection((server.host, server.port), TIMEOUT)) as connection:
        connection.sendall(request.encode())
        with suppress(ConnectionResetError):
            while connection.recv(4096):
                pass
    assert httpx.get(server.url, timeout=TIMEOUT).text == "hello"
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_what_is_no_http_at_all_is_400(server: Server) -> None:
    with closing(socket.create_connection((server.host, server.port), TIMEOUT)) as connection:
        connection.sendall(b"\x16\x03\x01\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_never_finishes_its_header_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.2)
    with Server(APP, port=0) as running:
        silent = socket.create_connection((running.host, running.port), TIMEOUT)
        half = socket.create_connection((running.host, running.port), TIMEOUT)
        second = socket.create_connection((running.host, running.port), TIMEOUT)
        with closing(silent), closing(half), closing(second):
            half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            second.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert second.recv(4096).startswith(b"HTTP/1.1 200")
            second.sendall(b"GET / HTTP/1.1\r\n")
            for connection in (silent, half, second):
                while connection.recv(4096):
                    pass


def test_a_header_without_end_is_refused(server: Server) -> None:
    with closing(socket.create_connection((server.host, server.port), TIMEOUT)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (server_module.MAX_HEADER_BYTES + 1))
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_taken_port_is_one_clear_error(server: Server) -> None:
    with pytest.raises(ListenError) as error:
        Server(APP, port=server.port)
    assert str(error.value) == (
        f"cannot listen on 127.0.0.1:{server.port}: another program uses that port; stop it, or choose another port"
    )
    assert isinstance(error.value, PermanentError)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "cannot listen on 192.0.2.1:0: this machine does not have that address"),
        ("no-such-host.invalid", "this machine cannot resolve that host"),
        ("2001:db8::1", r"cannot listen on \[2001:db8::1\]:0: "),
    ],
)
def test_an_address_that_is_not_ours_is_one_clear_error(host: str, message: str) -> None:
    with pytest.raises(ListenError, match=message):
        Server(APP, host, 0)


def test_a_server_that_never_started_gives_its_port_back() -> None:
    unused = Server(APP, port=0)
    unused.stop()
    unused.stop()
    with Server(APP, port=unused.port) as running:
        assert running.alive


def test_a_server_that_cannot_run_says_so_and_gives_its_port_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: uvicorn.Server, sockets: list[socket.socket]) -> None:
        raise RuntimeError("no event loop today")

    broken_server = Server(APP, port=0)
    with monkeypatch.context() as patch:
        patch.setattr(uvicorn.Server, "run", broken)
        with pytest.raises(VaultError, match="did not start; the log says why"):
            broken_server.start()
    assert "no event loop today" in caplog.text
    with Server(APP, port=broken_server.port) as running:
        assert running.alive


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9180", ("127.0.0.1", 9180)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
    ],
)
def test_listen_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":9180", "9180", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:9180", "[::1]", "[]:1"),
        *("h:-1", "h:٣", "a b:1", "h:1\n", "http://h:1", "h:1_0"),
    ],
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ListenError, match=r"write HOST:PORT, such as 127\.0\.0\.1:9180"):
        parse_listen(text)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate of its own for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("tls")
    tls = Tls(directory / "tls.crt", directory / "tls.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=vault"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tls.key, "-out", tls.certificate),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return tls


def test_with_a_certificate_it_is_https_and_nothing_else(certificate: Tls) -> None:
    with Server(APP, port=0, tls=certificate) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        trust = ssl.create_default_context(cafile=str(certificate.certificate))
        assert httpx.get(server.url, verify=trust, timeout=TIMEOUT).text == "hello"
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{server.port}", timeout=TIMEOUT)


def connected(server: Server, trust: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(TIMEOUT)
    plain.connect((server.host, server.port))
    return trust.wrap_socket(plain, server_hostname="127.0.0.1")


def test_stopping_waits_for_no_word_of_clients_that_have_their_answers(
    certificate: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_SECONDS", TIMEOUT)
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 2)
    trust = ssl.create_default_context(cafile=str(certificate.certificate))
    arrived, release = threading.Event(), threading.Event()

    def large(request: Request) -> Response:
        arrived.set()
        release.wait(TIMEOUT)
        return PlainTextResponse("x" * 4_000_000)

    app = Starlette(routes=[Route("/", hello), Route("/large", large)])
    with ExitStack() as stack:
        server = Server(app, port=0, tls=certificate)
        server.start()
        stack.callback(server.stop)
        # One that is idle for too long, one that was answered, half a handshake; and one that is answered meanwhile.
        idle = stack.enter_context(closing(connected(server, trust)))
        assert idle.recv(1) == b""
        clients = [stack.enter_context(closing(connected(server, trust))) for _ in range(2)]
        stack.enter_context(closing(socket.create_connection((server.host, server.port), TIMEOUT)))
        clients[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"hello"):
            answer += clients[0].recv(1)
        clients[1].sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert arrived.wait(TIMEOUT)
        began = time.monotonic()
        server.leave()
        assert clients[0].recv(1) == b""
        release.set()
        # It waits in buffers of the server.
        time.sleep(0.5)
        got = bytearray()
        while chunk := clients[1].recv(65536):
            got += chunk
        assert got.endswith(b"\r\n\r\n" + b"x" * 4_000_000)
        server.stop()
        assert not server.alive
        # asyncio itself would wait 30 s for it.
        assert time.monotonic() - began < TIMEOUT / 3


def test_a_certificate_that_cannot_be_used_is_one_clear_error(certificate: Tls, tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"cannot read .*absent: No such file"):
        Server(APP, port=0, tls=Tls(certificate.certificate, tmp_path / "absent"))
    with pytest.raises(ListenError, match="are not a certificate and its unencrypted key"):
        Server(APP, port=0, tls=Tls(certificate.key, certificate.certificate))


@pytest.fixture
def with_authorities(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server that asks for certificates of one authority and answers with the one that it was shown."""
    from reconciler.certificates.serving import AUTHORITY, CERTIFICATE, KEY, ensure

    async def shown(request: Request) -> Response:
        return Response(request.scope["state"].get(CLIENT_CERTIFICATE, b"none"))

    ensure(tmp_path, {"127.0.0.1"}, datetime.now(UTC))
    (tmp_path / "clients.crt").write_bytes(OURS.pem)
    tls = Tls(tmp_path / CERTIFICATE, tmp_path / KEY, (tmp_path / "clients.crt",))
    with Server(Starlette(routes=[Route("/", shown)]), port=0, tls=tls) as running:
        yield running, tmp_path / AUTHORITY


OURS = authority()


def ask_with(server: Server, trusted: Path, shown: Pair | None, directory: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(trusted))
    if shown is not None:
        (directory / "pair.pem").write_bytes(shown.pem + shown.key_pem)
        context.load_cert_chain(directory / "pair.pem")
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found = b""
        while more := connection.recv(65536):
            found += more
    return found.partition(b"\r\n\r\n")[2]


def test_a_request_has_the_certificate_that_its_client_has_shown(
    with_authorities: tuple[Server, Path], tmp_path: Path
) -> None:
    shown = client(OURS, "anna")
    assert ask_with(*with_authorities, shown, tmp_path) == shown.der
    assert ask_with(*with_authorities, None, tmp_path) == b"none"


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (client(OURS, "anna", life=timedelta(hours=-1)), "expired"),
        (client(authority("stranger"), "anna"), "unknown.ca"),
    ],
)
def test_a_client_is_told_what_is_wrong_with_its_certificate(
    with_authorities: tuple[Server, Path], tmp_path: Path, shown: Pair, says: str
) -> None:
    with pytest.raises(ssl.SSLError, match=f"(?i){says}"):
        ask_with(*with_authorities, shown, tmp_path)


@pytest.mark.parametrize(("content", "says"), [(None, "cannot read"), (b"nothing", "has no certificates")])
def test_authorities_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    from reconciler.certificates.serving import CERTIFICATE, KEY, ensure

    ensure(tmp_path, {"127.0.0.1"}, datetime.now(UTC))
    if content is not None:
        (tmp_path / "clients.crt").write_bytes(content)
    with pytest.raises(ListenError, match=says):
        Server(APP, port=0, tls=Tls(tmp_path / CERTIFICATE, tmp_path / KEY, (tmp_path / "clients.crt",)))
