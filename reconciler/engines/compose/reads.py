"""GET requests to the engine over its UNIX socket, with the standard library.

An observation needs a few of them, and the Docker SDK took a third of the time of `vaultctl diff` to import. Each request
has its own connection, which on a UNIX socket costs a tenth of a millisecond: there is no idle connection that the engine
could close, and threads share nothing. The event stream is such a request too, whose answer does not end.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, urlencode

from reconciler.engines.errors import EngineError

__all__ = ["MAX_BYTES", "Answer", "SocketReads", "target_of"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""Longest answer; a list of 10,000 containers has about 50 MB."""

CHUNK: Final = 256 * 1024
OK: Final = 200
REDIRECT: Final = 300
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
CONFLICT: Final = 409

Pieces = Generator[bytes, None, None]

_VERSION: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request."""

    status: int
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether the body says what was wrong."""
        return self.status >= REDIRECT

    @property
    def is_missing(self) -> bool:
        """Whether the object does not exist or is being removed."""
        return self.status == NOT_FOUND or (self.status == CONFLICT and "in progress" in self.explanation)

    @property
    def explanation(self) -> str:
        """The engine's own words about a refusal."""
        try:
            return str(self.document()["message"])
        except (ValueError, LookupError, TypeError):
            return self.body.decode(errors="replace").strip()

    def document(self) -> Any:
        """The body as data. Raises ValueError when it is not JSON, for example because it was cut."""
        return json.loads(self.body)


def target_of(path: str, *names: str, query: Mapping[str, Any] | None = None) -> str:
    """The request target of a path with a `{}` for each name; lists and mappings in the query become JSON."""
    # Image names keep their slashes and colons.
    target = path.format(*(quote(name, safe="/:@") for name in names))
    if not query:
        return target
    written = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in query.items()}
    return f"{target}?{urlencode(written)}"


class SocketReads:
    """Requests over the UNIX socket at `path`, each with a timeout of `seconds`. Threads may share it."""

    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._version = ""

    def get(self, target: str) -> Answer:
        """The answer to `GET target`, in the engine's newest API version.

        Raises OSError or HTTPException when it does not answer, and EngineError for an answer that is too long.
        """
        answer = self._ask(self._versioned(target))
        self._learn(answer)
        return answer

    def stream(self, target: str) -> Iterator[bytes]:
        """The pieces of an answer without end, whenever they come; the engine has accepted the request when this returns.

        Raises OSError or HTTPException, also while it is read.
        """
        response, pieces, line = self._open(self._versioned(target))
        if response.status != OK:
            answer = self._whole(target, response, pieces)
            self._learn(answer)
            raise HTTPException(answer.explanation)
        line.settimeout(None)
        return pieces

    def _versioned(self, target: str) -> str:
        self._version = self._version or self._newest()
        return f"/v{self._version}{target}"

    def _learn(self, answer: Answer) -> None:
        if answer.status == BAD_REQUEST:
            # Another engine may listen now, which no longer has that version.
            self._version = ""

    def _newest(self) -> str:
        try:
            version = self._ask("/version").document()["ApiVersion"]
        except (ValueError, LookupError, TypeError):
            version = None
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise HTTPException("it does not say which API version it has")
        return version

    def _ask(self, target: str) -> Answer:
        response, pieces, _ = self._open(target)
        return self._whole(target, response, pieces)

    def _whole(self, target: str, response: HTTPResponse, pieces: Pieces) -> Answer:
        deadline = monotonic() + self._seconds
        body = bytearray()
        with closing(pieces):
            for piece in pieces:
                body += piece
                if len(body) > MAX_BYTES:
                    raise EngineError(f"the engine's answer to GET {target} is longer than {MAX_BYTES} bytes")
                if monotonic() > deadline:
                    raise TimeoutError(f"an answer took longer than {self._seconds:g} s")
        return Answer(response.status, bytes(body))

    def _open(self, target: str) -> tuple[HTTPResponse, Pieces, socket.socket]:
        """The begin of an answer, its pieces, which end with the connection, and its socket."""
        connection = _Connection(self._path, self._seconds)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
            line: socket.socket = connection.sock
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return response, _pieces(connection, response), line


def _pieces(connection: HTTPConnection, response: HTTPResponse) -> Pieces:
    # The connection closes the response only if the engine would leave it open.
    with closing(connection), response:
        while piece := response.read1(CHUNK):
            yield piece


class _Connection(HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
