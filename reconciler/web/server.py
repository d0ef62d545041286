"""Serves the application from its own thread, from `start` until `stop`.

The socket is bound before the thread starts: a port that is in use raises an error in the caller instead of a line in a
log, and with port 0 the real port is known at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.api.errors import PermanentError, VaultError
from reconciler.web.connections import Connections, RareErrors, affordable

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9180

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
HANG_UP_SECONDS: Final = 0.1
# How long a connection may be idle: before its first request, and between two requests.
IDLE_SECONDS: Final = 10
STALLED_SECONDS: Final = 10.0
"""An answer of which a client takes nothing for so long makes room for another connection, when there are too many."""
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_MESSAGE: Final = 2 * 1024 * 1024
"""Longest message of a WebSocket."""
BACKLOG: Final = 128

MAX_PORT: Final = 65535

CLIENT_CERTIFICATE: Final = "client_certificate"
"""Where the state of a request has the certificate of its client (DER), if TLS asked for one and has verified it."""

_LISTEN: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})"
)

_log = logging.getLogger(__name__)


class ListenError(PermanentError):
    """Cannot listen on the address: in use, not of this machine, or not an address."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The PEM files for HTTPS: the certificate with its chain, and the private key.

    Clients may show certificates of `authorities`; another one ends the connection. Without any, none is asked for.
    """

    certificate: Path
    key: Path
    authorities: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raises ListenError if the files cannot be used, before the server depends on them."""
        try:
            # OpenSSL would ask for the password of an encrypted key on the terminal; an empty password fails instead.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except ssl.SSLError as error:
            reason = f"are not a certificate and its unencrypted key, both in PEM ({error.reason})"
            raise ListenError(f"cannot serve TLS: {self.certificate} and {self.key} {reason}") from error
        except OSError as error:
            files = f"{self.certificate} and {self.key}"
            raise ListenError(f"cannot serve TLS: cannot read {files}: {error.strerror}") from error
        for path in self.authorities:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
            except ssl.SSLError as error:
                reason = f"has no certificates of authorities in PEM ({error.reason})"
                raise ListenError(f"cannot verify clients: {path} {reason}") from error
            except OSError as error:
                raise ListenError(f"cannot verify clients: cannot read {path}: {error.strerror}") from error

    def context(self, _: uvicorn.Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The usual context, which also asks clients for a certificate if there are authorities."""
        context = usual()
        for path in self.authorities:
            context.load_verify_locations(path)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.sslobject_class = _SaysWhy
        return context


class _SaysWhy(ssl.SSLObject):
    """Sends the alert that says what is wrong with a client's certificate; asyncio would end the connection without it."""

    _refused: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """The next step. A failed one first asks for more data, before which asyncio sends what was written."""
        if self._refused is not None:
            raise self._refused
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            self._refused = error
            raise ssl.SSLWantReadError from None


class Server:
    """A running HTTP server; use it as a context manager, or call `start` and `stop`, once each."""

    def __init__(
        self,
        app: ASGIApp,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        tls: Tls | None = None,
        *,
        websockets: bool = False,
    ) -> None:
        """Bind `host:port` (0: any free port); nothing is served before `start`. With `tls` it is HTTPS, `websockets`
        says whether it takes those.

        Raises ListenError if the address or the certificate cannot be used.
        """
        if tls:
            tls.check()
        self._socket = bind(host, port)
        self.host: str
        self.port: int
        self.host, self.port = self._socket.getsockname()[:2]
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=_bounded(Connections(affordable())),
                ws=_websockets() if websockets else "none",
                ws_max_size=MAX_MESSAGE,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                server_header=False,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=int(STOP_SECONDS),
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                backlog=BACKLOG,
                ssl_certfile=tls.certificate if tls else None,
                ssl_keyfile=tls.key if tls else None,
                ssl_context_factory=tls.context if tls else None,
            )
        )
        self._scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"{self._scheme}://{_authority(self.host, self.port)}"

    @property
    def alive(self) -> bool:
        """Whether requests are being answered."""
        return self._server.started and self._thread.is_alive()

    def start(self) -> None:
        """Return once requests are answered. Raises VaultError if that takes longer than START_SECONDS."""
        self._thread.start()
        self._server.settled.wait(START_SECONDS)
        if not self.alive:
            self.stop()
            raise VaultError(f"the HTTP server on {self.url} did not start; the log says why")

    def leave(self) -> None:
        """Accept no more connections, and return at once; `stop` waits for running requests. Safe to repeat."""
        self._server.end()

    def stop(self) -> None:
        """Accept no more requests, wait up to STOP_SECONDS for running ones, and return. Safe to repeat."""
        self._server.end()
        if self._thread.ident is not None:
            # The server cancels running requests at its own deadline; the extra second is for its cleanup.
            self._thread.join(STOP_SECONDS + 1)
            if self._thread.is_alive():
                _log.warning("the HTTP server on %s did not end in time", self.url)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception:
            _log.exception("the HTTP server on %s ended", self.url)
        finally:
            self._server.settled.set()


class _Server(uvicorn.Server):
    """A server that sleeps until `end` is called; uvicorn's own main loop polls ten times a second."""

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        """Set when the server answers, or has failed to start."""

    async def main_loop(self) -> None:
        """Return after `end` was called."""
        self.settled.set()
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(RareErrors(self._loop.time))
        if not self.should_exit:
            await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections: TLS waits for the last word of clients, and some say none."""
        ending = asyncio.create_task(self._hang_up_once_answered())
        for each in sockets or ():
            asyncio.get_running_loop().remove_reader(each)
        # Those that were accepted in this turn: asyncio would lose them with their sockets once the server is closed.
        await asyncio.sleep(0)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()
            # No list of ours has those whose handshake is not complete.
            for transport in tuple(_transports().values()):
                transport.abort()
            # Their sockets are closed by the next turns of the loop.
            for _ in range(3):
                await asyncio.sleep(0)

    async def _hang_up_once_answered(self) -> None:
        while True:
            await asyncio.sleep(HANG_UP_SECONDS)
            for each in tuple(self.server_state.connections):
                if isinstance(each, _Protocol) and each.is_answered:
                    each.hang_up()

    def end(self) -> None:
        """Request the end, from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._asked.set)


class _Protocol(H11Protocol):
    """HTTP/1.1 that closes connections without a complete request, and reads the clock for each request.

    Uvicorn has a deadline only between two requests, and half a header stops it: idle connections could exhaust the
    file descriptors.
    """

    crowd: Connections
    client_address = ""
    _last_seen: object = None
    _heard = 0.0
    _has_upgraded = False
    _stalled_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the new connection."""
        super().connection_made(transport)
        # With TLS, another transport has what is encrypted.
        self._below = _transports().get(transport.get_extra_info("socket").fileno(), transport)
        self.client_address = self.client[0] if self.client else ""
        self._heard = self.loop.time()
        self.crowd.add(self)
        if (tls := transport.get_extra_info("ssl_object")) is not None and (shown := tls.getpeercert(True)):
            # Verified by now; each request of the connection gets a copy of this state.
            self.app_state = {**self.app_state, CLIENT_CERTIFICATE: shown}
        self.loop.call_later(IDLE_SECONDS, self._hang_up_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister the connection."""
        self.crowd.remove(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over; it still counts as one of its client until it ends."""
        self._has_upgraded = True
        super().handle_websocket_upgrade(event)
        taken = self.transport.get_protocol()
        lost = taken.connection_lost

        def connection_lost(error: Exception | None) -> None:
            self.crowd.remove(self)
            lost(error)

        taken.connection_lost = connection_lost  # type: ignore[method-assign, assignment]

    @property
    def silent_since(self) -> float | None:
        """When the client last sent data, or ceased to take an answer; None while it is being answered."""
        if self._waiting:
            return self._heard
        since = self._stalled_since
        return None if since is None or self.loop.time() - since < STALLED_SECONDS else since

    @property
    def is_answered(self) -> bool:
        """Whether the client has been sent all that it has asked for."""
        return self._waiting and not self._below.get_write_buffer_size()

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        # One with TLS that was closed twice can no longer be aborted itself.
        self._below.abort()

    @property
    def _waiting(self) -> bool:
        # Before the first request there is no cycle, despite uvicorn's annotation.
        return not self._has_upgraded and getattr(self.cycle, "response_complete", True)

    def pause_writing(self) -> None:
        """The buffers are full: the client takes less than it is sent."""
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        self._stalled_since = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Answer with the date of the request."""
        self._heard = self.loop.time()
        self.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP. In the middle of a request or an answer that is no answer: the connection ends."""
        cycle = getattr(self, "cycle", None)
        is_between = cycle is None or cycle.response_complete
        if is_between:
            # One that may send no answer any more, for example to the rest of a request that was refused.
            with suppress(h11.LocalProtocolError):
                super().send_400_response(msg)
                return
        if cycle is not None:
            # Its task is told before the transport says so, and sends nothing.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.abort()

    def _hang_up_if_idle(self) -> None:
        if self.transport.is_closing():
            return
        if self._waiting and self.cycle is self._last_seen:
            self.transport.close()
            return
        self._last_seen = self.cycle
        self.loop.call_later(IDLE_SECONDS, self._hang_up_if_idle)


def _transports() -> Mapping[int, asyncio.Transport]:
    """Those of the running loop by their file descriptors: asyncio has no public list, nor uvicorn."""
    found: Mapping[int, asyncio.Transport] = getattr(asyncio.get_running_loop(), "_transports", {})
    return found


def _bounded(connections: Connections) -> type[_Protocol]:
    """The protocol class of one server, whose connections are counted together."""
    return type("_BoundedProtocol", (_Protocol,), {"crowd": connections})


def _websockets() -> type[asyncio.Protocol]:
    from reconciler.web.websockets import WebSocketProtocol

    return WebSocketProtocol


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:9180", "localhost:0" or "[::1]:9180". Raises ListenError for anything else.

    The host is required: to listen on all addresses, write "0.0.0.0:9180".
    """
    parts = _LISTEN.fullmatch(text)
    if parts is None or int(parts["port"]) > MAX_PORT:
        example = f"{DEFAULT_HOST}:{DEFAULT_PORT}"
        raise ListenError(f"cannot listen on {text!r}: write HOST:PORT, such as {example}")
    return parts["ipv6"] or parts["host"], int(parts["port"])


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ListenError."""
    sock: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        # Otherwise a restarted controller would have to wait until its old connections leave TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ListenError(f"cannot listen on {_authority(host, port)}: {_explain(error)}") from error
    return sock


def _explain(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "this machine cannot resolve that host; use one of its own addresses"
    advice = {
        errno.EADDRINUSE: "another program uses that port; stop it, or choose another port",
        errno.EADDRNOTAVAIL: "this machine does not have that address; use one of its own",
        errno.EACCES: "ports below 1024 need more privileges; choose a higher one",
    }
    return advice.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
