"""Requests to the API, and its refusals as the errors that verbs report."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.api.kinds import API_GROUP, API_VERSION, NAMESPACE, Kind, Ref
from reconciler.cli.about import VERSION
from reconciler.cli.remote.target import Target

__all__ = ["EVENTS", "MANAGER", "ConflictError", "Connection", "MissingError", "belonging_to", "path_of"]

TIMEOUT_SECONDS: Final = 30.0
MAX_ANSWER: Final = 64 * 1024 * 1024
MAX_LINE: Final = 1024 * 1024
EVENTS: Final = f"/api/v1/namespaces/{NAMESPACE}/events"
MANAGER: Final = "vaultctl"
_CLOSED: Final = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


def _status(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        # A proxy in between may have codes of its own.
        return f"the answer is {code}"


class MissingError(PermanentError):
    """There is no such object."""


class ConflictError(TemporaryError):
    """The object was changed meanwhile."""


def path_of(kind: Kind, name: str = "") -> str:
    """The path of the objects of a kind, or of one of them."""
    objects = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{kind.plural}"
    return f"{objects}/{quote(name, safe='')}" if name else objects


def belonging_to(ref: Ref) -> str:
    """The label selector of what the API computes for an object."""
    labels = {"kind": ref.kind.singular, "object": ref.name}
    return ",".join(f"{API_GROUP}/{name}={value}" for name, value in labels.items())


class Connection:
    """One connection that is opened again when the server has closed it. Threads may share it: one asks at a time."""

    def __init__(self, target: Target) -> None:
        self.server = target.server
        parts = urlsplit(target.server)
        self._prefix = parts.path.rstrip("/")
        self._target = target
        self._token = target.token
        self._lock = threading.Lock()
        self._http = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=TIMEOUT_SECONDS, context=target.context()
        )

    def close(self) -> None:
        """Close it; another request opens it again."""
        self._http.close()

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str
    ) -> dict[str, Any]:
        """The document that is answered. Raises VaultError; MissingError for 404, ConflictError for 409."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        with self._lock:
            code, answer = self._answer(method, f"{path}?{urlencode(query)}" if query else path, content)
        try:
            document = json.loads(answer)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise PermanentError(f"{self.server} answers {code} and no JSON: is it the API of a controller?")
        if code >= HTTPStatus.BAD_REQUEST:
            raise self._refused(code, document)
        return document

    def items(self, path: str, selector: str = "") -> list[Mapping[str, Any]]:
        """The documents of a list, or those of them with the labels of `selector`. Raises VaultError."""
        query = {"labelSelector": selector} if selector else {}
        found = self.ask("GET", path, None, **query).get("items")
        return found if isinstance(found, list) else []

    def lines(
        self, path: str, begun: Callable[[socket.socket], None] = lambda _: None, **query: str
    ) -> Iterator[str]:
        """The lines of an answer as they come, over a connection of its own; `begun` is told of its socket when the answer
        begins. Raises VaultError.
        """
        parts = urlsplit(self.server)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=TIMEOUT_SECONDS, context=self._target.context()
        )
        headers = {"User-Agent": f"{MANAGER}/{VERSION}"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request("GET", f"{self._prefix}{path}?{urlencode(query)}", None, headers)
            response = connection.getresponse()
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise self._refused(response.status, _status(response.read(MAX_ANSWER)))
            # A container may say nothing for hours; the kernel finds out when the other machine is gone.
            if connection.sock is not None:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connection.sock.settimeout(None)
                begun(connection.sock)
            while line := response.readline(MAX_LINE):
                yield line.decode(errors="replace").rstrip("\r\n")
        except (http.client.HTTPException, OSError) as error:
            raise self._away(error) from None
        finally:
            connection.close()

    def _answer(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "User-Agent": f"{MANAGER}/{VERSION}"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if content is not None:
            headers["Content-Type"] = "application/json"
        if method != "GET":
            # The server may have closed an idle connection; of a write one could not tell whether it was done.
            self._http.close()
        for attempt in (1, 2):
            is_used = self._http.sock is not None
            try:
                self._http.request(method, self._prefix + path, content, headers)
                response = self._http.getresponse()
                answer = response.read(MAX_ANSWER + 1)
            except (http.client.HTTPException, OSError) as error:
                self._http.close()
                if attempt == 1 and is_used and isinstance(error, _CLOSED):
                    continue
                raise self._away(error) from None
            if len(answer) > MAX_ANSWER:
                self._http.close()
                raise PermanentError(f"{self.server} answers more than {MAX_ANSWER // 1024 // 1024} MiB")
            return response.status, answer
        raise AssertionError

    def _away(self, error: Exception) -> Exception:
        if isinstance(error, ssl.SSLCertVerificationError):
            return PermanentError(
                f"the certificate of {self.server} is not trusted ({error.verify_message}): give the authority of the API "
                "with --certificate-authority (api/ca.crt of the state directory), or a kubeconfig of it"
            )
        if isinstance(error, ssl.SSLError):
            return PermanentError(f"{self.server} refuses the connection: {error.reason or 'TLS failed'}")
        if isinstance(error, TimeoutError):
            return TemporaryError(f"{self.server} does not answer within {TIMEOUT_SECONDS:g} s")
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return TemporaryError(f"cannot reach {self.server}: {reason}; is `vaultctl run --api` running there?")

    def _refused(self, code: int, status: Mapping[str, Any]) -> Exception:
        message = str(status.get("message") or _phrase(code))
        match code:
            case HTTPStatus.UNAUTHORIZED:
                return PermanentError(
                    f"{self.server} does not accept the login: the token or the certificate is unknown, revoked or expired"
                )
            case HTTPStatus.NOT_FOUND:
                return MissingError(message)
            case HTTPStatus.CONFLICT:
                return ConflictError(message)
            case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.GATEWAY_TIMEOUT:
                return TemporaryError(f"{self.server}: {message}")
        return PermanentError(message)
