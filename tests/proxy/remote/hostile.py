"""An agent that is not ours: a server on 127.0.0.1 with a certificate of its choice, which says whatever a test wants."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.certificates.agents import agent_name, keep_controller, node_request, sign_agent
from reconciler.certificates.self_signed import new_key
from reconciler.proxy.remote.line import Line
from reconciler.proxy.remote.wire import Peer, Wire
from tests.proxy.remote.agents import NODE, context_of

Say = Callable[[ssl.SSLSocket, bytes], None]
"""Answers one request, whose bytes it gets."""


@dataclass
class Hostile:
    """Where it listens, the authority of its controller, and what it was sent."""

    authority: Path
    port: int
    heard: list[bytes] = field(default_factory=list)

    def line(self, accepts: Callable[[bytes], bool] = lambda shown: True) -> Line:
        """The loop's line to it."""
        peer = Peer(
            NODE, "127.0.0.1", self.port, agent_name(NODE), lambda: context_of(self.authority), accepts
        )
        return Line(Wire(peer))


def certificate(authority: Path, node: str = NODE, now: datetime | None = None) -> bytes:
    """A key and a certificate of an agent, in one text."""
    key = new_key()
    return key.encode() + sign_agent(authority, node, node_request(key), now or datetime.now(UTC))


@contextmanager
def hostile(directory: Path, say: Say, pem: bytes | None = None) -> Iterator[Hostile]:
    """Serve until the block ends."""
    authority = directory / "authority"
    keep_controller(authority, datetime.now(UTC))
    own = directory / "agent.pem"
    own.write_bytes(pem or certificate(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    listener = socket.create_server(("127.0.0.1", 0))
    made = Hostile(authority, listener.getsockname()[1])

    def serve(bare: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(bare, server_side=True) as connection:
            while heard := connection.recv(1024 * 1024):
                made.heard.append(heard)
                say(connection, heard)

    def accept() -> None:
        with suppress(OSError):
            while True:
                bare, _ = listener.accept()
                threading.Thread(target=serve, args=(bare,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield made
    finally:
        # Closing alone would not end the accept of the other thread.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    """An answer with this body."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def hello(**other: Any) -> bytes:
    """What an agent says first."""
    return http(json.dumps({"versions": [1], "node": NODE, "now": time.monotonic(), **other}).encode())


def saying(answer: Callable[[str], bytes]) -> Say:
    """Greets, and answers each request, whose id it gets, with what `answer` makes of that."""

    def say(connection: ssl.SSLSocket, heard: bytes) -> None:
        if heard.startswith(b"GET /hello"):
            connection.sendall(hello())
            return
        _, _, body = heard.partition(b"\r\n\r\n")
        while not body.endswith(b"}"):
            body += connection.recv(1024 * 1024)
        connection.sendall(answer(json.loads(body)["id"]))

    return say


def replying(**fields: Any) -> Say:
    """Answers each request with these fields of a reply."""
    return saying(lambda id: http(json.dumps({"id": id, "now": time.monotonic(), **fields}).encode()))
