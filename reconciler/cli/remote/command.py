"""A command in a container over the API: the streams of this process as channels of one WebSocket.

The protocol is that of `kubectl exec` (v5.channel.k8s.io): the first byte of a message is its channel.
"""

from __future__ import annotations

import json
import os
import select
import signal
import ssl
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.cli.about import VERSION
from reconciler.cli.remote.connection import MANAGER
from reconciler.cli.remote.pods import PODS

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from reconciler.cli.remote.target import Target

__all__ = ["run"]

PROTOCOL: Final = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHUNK: Final = 32 * 1024
CONNECT_SECONDS: Final = 30.0
MAX_MESSAGE: Final = 2 * 1024 * 1024


def run(target: Target, pod: str, words: Sequence[str], *, stdin: bool, tty: bool) -> int:
    """Run a command with the streams of this process; its exit code. Raises VaultError."""
    query = [("command", each) for each in words]
    query += [("stdout", "true"), *([("stderr", "true")] if not tty else [])]
    query += [(name, "true") for name, given in (("stdin", stdin), ("tty", tty)) if given]
    with _connected(target, f"{PODS}/{pod}/exec?{urlencode(query)}") as websocket:
        ended = threading.Event()
        with _terminal(websocket, ended) if tty else nullcontext():
            if stdin:
                threading.Thread(target=_send_input, args=(websocket, ended), daemon=True).start()
            try:
                return _receive(websocket)
            finally:
                ended.set()


@contextmanager
def _connected(target: Target, path: str) -> Iterator[ClientConnection]:
    from websockets.exceptions import InvalidStatus, WebSocketException
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    context = target.context()
    # A connection of OpenSSL is for one thread at a time, and this client reads in one and writes in another. With TLS 1.3
    # the reading one takes in the server's tickets just when the other sends the request, which then may never leave.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        websocket = connect(
            target.server.replace("https://", "wss://", 1) + path,
            ssl=context,
            subprotocols=[Subprotocol(PROTOCOL)],
            additional_headers=headers,
            user_agent_header=f"{MANAGER}/{VERSION}",
            open_timeout=CONNECT_SECONDS,
            max_size=MAX_MESSAGE,
            compression=None,
            proxy=None,
        )
    except InvalidStatus as error:
        raise PermanentError(_message(error.response.body, error.response.status_code)) from None
    except (OSError, TimeoutError, WebSocketException) as error:
        raise TemporaryError(f"cannot reach {target.server}: {error}") from None
    with websocket:
        yield websocket


def _message(body: bytes | bytearray | None, code: int) -> str:
    try:
        document = json.loads(body or b"null")
    except (ValueError, RecursionError):
        document = None
    said = document.get("message") if isinstance(document, dict) else None
    return str(said) if said else f"the API answers {code}"


def _receive(websocket: ClientConnection) -> int:
    from websockets.exceptions import ConnectionClosed

    streams: dict[int, IO[bytes]] = {STDOUT: sys.stdout.buffer, STDERR: sys.stderr.buffer}
    try:
        while True:
            message = websocket.recv()
            data = message if isinstance(message, bytes) else message.encode()
            if not data:
                continue
            if data[0] == ERROR:
                return _exit_code(data[1:])
            if (stream := streams.get(data[0])) is not None:
                stream.write(data[1:])
                stream.flush()
    except ConnectionClosed:
        raise TemporaryError(
            "the connection ended before the command did, which may still be running"
        ) from None


def _exit_code(content: bytes) -> int:
    """The code in the Status that ends a command. Raises PermanentError if it says that the command did not run."""
    try:
        status: Any = json.loads(content)
        if status["status"] == "Success":
            return 0
        for cause in status.get("details", {}).get("causes", ()):
            if cause["reason"] == "ExitCode":
                return int(cause["message"])
        raise PermanentError(str(status.get("message")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PermanentError("the API does not say how the command ended") from None


def _send_input(websocket: ClientConnection, ended: threading.Event) -> None:
    from websockets.exceptions import ConnectionClosed

    descriptor = sys.stdin.fileno()
    with suppress(ConnectionClosed, OSError):
        while not ended.is_set() and (data := os.read(descriptor, CHUNK)):
            websocket.send(bytes([STDIN]) + data)
        websocket.send(bytes([CLOSE, STDIN]))


@contextmanager
def _terminal(websocket: ClientConnection, ended: threading.Event) -> Iterator[None]:
    """Hand each key to the command, and tell it the size of this terminal, also when that changes."""
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    changed, ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    former = signal.signal(signal.SIGWINCH, lambda *_: os.write(ring, b"x") and None)

    def tell_sizes() -> None:
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed, OSError):
            while not ended.is_set():
                size = os.get_terminal_size(descriptor)
                content = json.dumps({"Width": size.columns, "Height": size.lines}).encode()
                websocket.send(bytes([RESIZE]) + content)
                select.select([changed], [], [])
                os.read(changed, CHUNK)

    telling = threading.Thread(target=tell_sizes, daemon=True)
    try:
        tty.setraw(descriptor)
        telling.start()
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, former)
        ended.set()
        os.write(ring, b"x")
        telling.join(1.0)
        os.close(changed)
        os.close(ring)
