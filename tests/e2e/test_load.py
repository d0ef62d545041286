"""The clients of the proofs leave nothing of theirs behind, whatever the other side does."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from reconciler.certificates.self_signed import self_signed
from tests.e2e.load import FRESH_GET, KEPT_GET, Load

NAME: Final = "load.example.org"
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the clients' settings."""
    made = self_signed([NAME], datetime.now(UTC))
    (tmp_path / "key").write_text(made.key)
    (tmp_path / "chain").write_text(made.chain)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    return server, ssl.create_default_context(cafile=str(tmp_path / "chain"))


@contextmanager
def silent_at_the_end(settings: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that answers requests, and does not close its side of a connection before the block ends."""
    taken: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection = settings.wrap_socket(listener.accept()[0], server_side=True)
                    taken.append(connection)
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10.0)
    for connection in taken:
        connection.close()


def answer(connection: ssl.SSLSocket) -> None:
    """Answer each request of a connection."""
    with suppress(OSError):
        while connection.recv(4096):
            connection.sendall(ANSWER)


def test_connections_are_closed_though_the_other_side_does_not_close_them(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    settings, trusted = contexts
    with warnings.catch_warnings(record=True) as told, silent_at_the_end(settings) as port:
        warnings.simplefilter("always", ResourceWarning)
        with Load(port, 40.0, (FRESH_GET, KEPT_GET), hosts=(NAME,), tls=trusted) as load:
            pass
        gc.collect()
    assert load.shots
    assert not load.lost
    assert not [str(each.message) for each in told]
