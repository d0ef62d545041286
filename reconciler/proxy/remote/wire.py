"""Connections to one agent: TLS on both sides, one deadline for each exchange, and an answer of limited length."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from reconciler.api.reasons import Reason
from reconciler.proxy.errors import ProxyError

__all__ = ["MAX_BODY", "AgentRefusedError", "Peer", "Wire"]

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a request, and of an answer: a thousand servers take 300 KiB."""
MAX_IDLE: Final = 8
"""Connections that are kept for the next calls."""
IDLE_SECONDS: Final = 5.0
"""How long one is kept; the agent closes it after ten."""
MARGIN: Final = 0.1
"""Seconds that are waited longer than the other side works, to hear why there is no answer."""


class _StrangerError(Exception):
    """The other side has a certificate of the authority that is not to be used any more."""


class AgentRefusedError(ProxyError):
    """The other side answered with this HTTP status, and not with an answer."""

    reason = Reason.AGENT_REFUSED

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Peer:
    """The server of a node: its address, the name that its certificate has to have, a `context` for a new connection, which
    has our certificate of that moment, and whether it `accepts` a certificate (DER) that TLS has verified.
    """

    node: str
    host: str
    port: int
    name: str
    context: Callable[[], ssl.SSLContext]
    accepts: Callable[[bytes], bool]

    @property
    def address(self) -> str:
        """Its address and port in one text."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass
class Wire:
    """Exchanges with one peer; any thread may. `told` gets to know of each whether there was an answer."""

    peer: Peer
    told: Callable[[str, bool], None] = lambda node, answered: None
    _idle: list[tuple[float, http.client.HTTPConnection]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # With the last reference to it, as sockets do that are not wrapped in TLS.
        weakref.finalize(self, _close_all, self._idle)

    def exchange(self, method: str, path: str, body: bytes, until: float) -> bytes:
        """The body of an answer, all of it before `until` (monotonic seconds). Raises ProxyError.

        On an idle connection it may fail because the other side has just closed that: then it is made on a new one.
        """
        try:
            said = None
            if (connection := self._taken()) is not None:
                with suppress(ConnectionError, http.client.BadStatusLine, ssl.SSLEOFError):
                    said = self._on(connection, method, path, body, until)
            if said is None:
                said = self._on(self._connection(until), method, path, body, until)
        except TimeoutError:
            raise self._lost("did not answer in time") from None
        except _StrangerError:
            raise self._lost("shows a certificate that is not the one that was issued last") from None
        except ssl.SSLCertVerificationError as error:
            raise self._lost(f"shows a certificate that is not accepted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise self._lost(f"ended the connection: {error.reason or 'TLS failed'}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise self._lost(f"cannot be asked: {reason}") from None
        self.told(self.peer.node, True)
        return said

    def _on(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, until: float
    ) -> bytes:
        with _Watchdog(connection, until + MARGIN) as watchdog:
            try:
                if connection.sock is None:
                    connection.connect()
                    watchdog.check()
                connection.sock.settimeout(max(MARGIN, until + MARGIN - time.monotonic()))
                connection.request(method, path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                said = answer.read(MAX_BODY + 1)
                watchdog.check()
            except (OSError, http.client.HTTPException):
                connection.close()
                watchdog.check()
                raise
        if len(said) > MAX_BODY:
            connection.close()
            raise self._lost(f"gives an answer of more than {MAX_BODY // 1024} KiB")
        if answer.status != HTTPStatus.OK:
            connection.close()
            said_no = self._lost(f"refuses the request: HTTP status {answer.status}")
            raise AgentRefusedError(said_no.message, answer.status)
        self._give_back(connection)
        return said

    def _connection(self, until: float) -> http.client.HTTPConnection:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return _Connection(self.peer, left)

    def _taken(self) -> http.client.HTTPConnection | None:
        with self._lock:
            while self._idle:
                since, connection = self._idle.pop()
                if time.monotonic() - since < IDLE_SECONDS:
                    return connection
                connection.close()
        return None

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < MAX_IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    def _lost(self, what: str) -> ProxyError:
        self.told(self.peer.node, False)
        return ProxyError(f"node {self.peer.node}: the agent at {self.peer.address} {what}")

    def close(self) -> None:
        """Close the connections that are idle: the next one shows the certificate of that moment."""
        with self._lock:
            _close_all(self._idle)


def _close_all(idle: list[tuple[float, http.client.HTTPConnection]]) -> None:
    while idle:
        idle.pop()[1].close()


class _Connection(http.client.HTTPConnection):
    """A connection to an agent whose certificate was looked at before anything is sent."""

    def __init__(self, peer: Peer, seconds: float) -> None:
        super().__init__(peer.host, peer.port, timeout=seconds)
        self._peer = peer
        self._context = peer.context()

    def connect(self) -> None:
        """Connect, and look who is there."""
        super().connect()
        # The watchdog has to find the socket while the handshake lasts.
        self.sock = self._context.wrap_socket(
            self.sock, server_hostname=self._peer.name, do_handshake_on_connect=False
        )
        self.sock.do_handshake()
        if not self._peer.accepts(self.sock.getpeercert(binary_form=True) or b""):
            self.close()
            raise _StrangerError


class _Watchdog:
    """Ends a connection at a deadline, also for a peer that sends a byte now and then."""

    def __init__(self, connection: http.client.HTTPConnection, until: float) -> None:
        self._connection = connection
        self._has_bitten = False
        self._timer = threading.Timer(max(0.0, until - time.monotonic()), self._bite)
        self._timer.daemon = True

    def check(self) -> None:
        """Raises TimeoutError if the deadline has passed."""
        if self._has_bitten:
            raise TimeoutError

    def _bite(self) -> None:
        self._has_bitten = True
        if (connected := self._connection.sock) is None:
            # It is closed already, or not connected yet: its own time-out ends it.
            return
        with suppress(OSError):
            # Not the method of SSLSocket, which would let the other thread read on without TLS.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def __enter__(self) -> _Watchdog:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
