"""Questions to an engine on this machine, in plain HTTP over its UNIX socket.

A look needs two or three answers, and importing the SDK takes longer than getting them. So what is only read is asked for
here; whatever changes something, and every engine that is elsewhere, goes through the SDK. Source: Docker Engine API 1.43.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any, Final

DEFAULT_SOCKET: Final = "/var/run/docker.sock"


class _UnixConnection(HTTPConnection):
    """HTTP to whoever listens on the socket at `path`."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket instead of a TCP connection."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Reader:
    """One connection, for one thread. Calls raise OSError or http.client.HTTPException when nobody answers."""

    def __init__(self, path: str, timeout: float) -> None:
        self._connection = _UnixConnection(path, timeout)

    def get(self, path: str) -> tuple[int, Any]:
        """HTTP status and JSON answer of a GET. Raises ValueError for an answer that is no JSON."""
        if self._connection.sock is not None:
            # The other side may have closed it since the last answer; a question can be asked twice.
            with suppress(ConnectionError):
                return self._ask(path)
        return self._ask(path)

    def _ask(self, path: str) -> tuple[int, Any]:
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except BaseException:
            # Half an answer may be left in it.
            self._connection.close()
            raise

    def close(self) -> None:
        """End the connection; the next call opens another one."""
        self._connection.close()
