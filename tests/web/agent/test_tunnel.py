"""The way through an agent to the engine of its node: for the controller, and for no other client."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from reconciler.certificates.agents import AUTHORITY, agent_name, keep_controller, node_request, sign_agent
from reconciler.certificates.self_signed import new_key
from reconciler.engines.tunnel import AT_ONCE, CLOSE_SECONDS, Tunnel, open_tls, open_unix, take_tls, take_unix
from reconciler.web.agent.app import admits, tunnel_tls
from reconciler.web.agent.terms import Terms
from reconciler.web.server import bind
from tests.proxy.remote.agents import NODE, Agent, agent_in, context_of, now

SECONDS: Final = 20.0
QUESTION: Final = b"GET /_ping HTTP/1.1\r\n\r\n"


@contextmanager
def engine(path: Path) -> Iterator[None]:
    """A socket that answers each message with itself, backwards."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data[::-1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(SECONDS)


class Way:
    """An agent that leads to an engine, and the controller's socket for it."""

    def __init__(self, directory: Path, agent: Agent, port: int, terms: Terms) -> None:
        self.directory, self.agent, self.port, self.terms = directory, agent, port, terms

    @contextmanager
    def here(
        self,
        accepts: Callable[[bytes], bool] = lambda shown: True,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Iterator[Path]:
        """The controller's end, whose socket this is."""
        path = self.directory / "here.sock"
        where = ("127.0.0.1", self.port, agent_name(NODE), self.agent.context())
        with Tunnel(take_unix(path), open_tls(lambda: where, accepts), is_over=is_over):
            yield path


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    there, listener = tmp_path / "engine.sock", bind("127.0.0.1", 0)
    with ExitStack() as stack:
        agent = stack.enter_context(agent_in(tmp_path / "agent"))
        stack.enter_context(engine(there))
        take = take_tls(listener, tunnel_tls(agent.identity))
        terms = Terms(tmp_path / "term")
        tunnel = stack.enter_context(Tunnel(take, open_unix(there), admits(now, terms)))
        terms.risen.append(tunnel.end_older)
        yield Way(tmp_path, agent, listener.getsockname()[1], terms)


def said(path: Path, question: bytes = QUESTION) -> bytes:
    """What comes back for a question, at most as many bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        found = b""
        try:
            connection.sendall(question)
            while len(found) < len(question) and (data := connection.recv(65536)):
                found += data
        except ConnectionError:
            pass
        return found


def test_bytes_go_to_the_engine_and_back(way: Way) -> None:
    with way.here() as path:
        assert said(path) == QUESTION[::-1]
        assert said(path) == QUESTION[::-1]
        assert path.stat().st_mode & 0o777 == 0o600


def test_much_goes_both_ways(way: Way) -> None:
    with way.here() as path, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        total = 4 * 1024 * 1024
        sending = threading.Thread(target=lambda: connection.sendall(b"x" * total))
        sending.start()
        got = 0
        while got < total and (data := connection.recv(65536)):
            got += len(data)
        sending.join(SECONDS)
        assert got == total


@pytest.mark.parametrize("length", [225_000, 250_000])
def test_the_end_of_an_answer_waits_for_a_slow_client(tmp_path: Path, length: int) -> None:
    """The kernel has room for the most of it, and the engine closes the connection meanwhile."""
    there, here = tmp_path / "there.sock", tmp_path / "here.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(there))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(len(QUESTION))
                connection.sendall(b"x" * length)

        engine = threading.Thread(target=answer, daemon=True)
        engine.start()
        with Tunnel(take_unix(here), open_unix(there)):
            client.settimeout(SECONDS)
            client.connect(str(here))
            client.sendall(QUESTION)
            time.sleep(2 * CLOSE_SECONDS)
            got = 0
            while data := client.recv(65536):
                got += len(data)
        engine.join(SECONDS)
        assert got == length


@pytest.mark.parametrize("turn", range(5))
def test_nothing_stays_open_at_the_engine_if_clients_leave_while_it_closes(tmp_path: Path, turn: int) -> None:
    there, here = tmp_path / "there.sock", tmp_path / "here.sock"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.settimeout(SECONDS)
        listener.bind(str(there))
        listener.listen(AT_ONCE)
        with Tunnel(take_unix(here), open_unix(there)):
            clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(AT_ONCE)]
            for client in clients:
                client.settimeout(SECONDS)
                client.connect(str(here))
            engines = [stack.enter_context(listener.accept()[0]) for _ in clients]
            for client in clients:
                client.close()
        for connection in engines:
            connection.settimeout(1)
            assert connection.recv(1) == b"", "closed"


def test_a_tunnel_that_cannot_listen_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with (
        pytest.raises(FileNotFoundError),
        Tunnel(take_unix(tmp_path / "none" / "here.sock"), open_unix(tmp_path)),
    ):
        pass
    assert threading.active_count() == before


def test_nothing_is_sent_on_after_the_lease_of_a_controller_is_over(way: Way) -> None:
    over = threading.Event()
    with way.here(is_over=over.is_set) as path, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        connection.sendall(QUESTION)
        assert connection.recv(len(QUESTION)) == QUESTION[::-1]
        over.set()
        with suppress(ConnectionError):
            connection.sendall(QUESTION)
            assert connection.recv(len(QUESTION)) == b"", "one that was open before"
        assert said(path) == b"", "a new one"


def test_an_agent_with_another_certificate_than_the_last_is_not_spoken_to(way: Way) -> None:
    with way.here(accepts=lambda shown: False) as path:
        assert said(path) == b""


def test_a_client_without_a_certificate_of_the_controller_does_not_reach_the_engine(
    way: Way, tmp_path: Path
) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(way.agent.authority / AUTHORITY)
    key = new_key()
    theirs = sign_agent(way.agent.authority, "node-3", node_request(key), datetime.now(UTC))
    files = tmp_path / "other.crt", tmp_path / "other.key"
    files[0].write_bytes(theirs)
    files[1].write_text(key)
    for context in (bare, context_of(way.agent.authority, files)):
        assert _asked(way.port, context) == b""
    assert _asked(way.port, way.agent.context()) == QUESTION[::-1]


def _asked(port: int, context: ssl.SSLContext) -> bytes:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=agent_name(NODE)) as connection,
        ):
            connection.sendall(QUESTION)
            return connection.recv(1000)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_an_engine_that_is_away_ends_the_connection(tmp_path: Path) -> None:
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with agent_in(tmp_path / "agent") as agent:
        take = take_tls(listener, tunnel_tls(agent.identity))
        with Tunnel(take, open_unix(tmp_path / "none.sock"), admits(now, Terms(tmp_path / "term"))):
            assert _asked(port, agent.context()) == b""
        # Nothing listens any more.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), SECONDS)


def test_what_a_former_holder_of_the_lease_has_opened_ends_and_it_opens_no_more(
    way: Way,
) -> None:
    keep_controller(way.agent.authority, now(), 1)
    former = way.agent.context()
    with way.here() as path, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        connection.sendall(QUESTION)
        assert len(connection.recv(len(QUESTION))) > 0
        keep_controller(way.agent.authority, now(), 2)
        way.terms.admit(2)
        while connection.recv(65536):
            pass
    way.agent.context = lambda: former  # type: ignore[method-assign]
    with way.here() as path:
        assert said(path) == b""
