"""Calls the Docker API: a timeout on every call, and EngineErrors.

`read` and `events` send GET requests, without the Docker SDK where the engine has a UNIX socket; `ask` makes all other
calls with the SDK, by a client for each thread.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

from reconciler.engines.compose.logs import whole_lines
from reconciler.engines.compose.reads import Answer, SocketReads, target_of
from reconciler.engines.compose.rows import COMPOSE_PROJECT
from reconciler.engines.errors import EngineAwayError, EngineError

if TYPE_CHECKING:
    from docker import APIClient

CALL_SECONDS: Final = 30
"""Timeout of one API call, in addition to the wait that the call requests."""

CONNECTIONS: Final = 2
"""Idle connections that a client keeps. The SDK keeps one for each URL on a UNIX socket, and a URL names a container: 25 of
them in each of forty threads would be a thousand file descriptors."""

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
UNIX: Final = "unix://"

_ERROR: Final = object()


class DockerApi:
    """The engine at `host` (a Docker URL), at $DOCKER_HOST, or at the default socket. Threads may share it.

    `seconds`: timeout of one read. `allow` is asked before each request of `send` for how many seconds that may last; it
    may raise VaultError. `elsewhere`: the socket leads to the engine of another machine.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        seconds: float = CALL_SECONDS,
        allow: Callable[[], float] = lambda: CALL_SECONDS,
        elsewhere: bool = False,
    ) -> None:
        self._elsewhere = elsewhere
        self.host = host or os.environ.get("DOCKER_HOST") or None
        self._allow = allow
        self._local = threading.local()
        self._clients: set[APIClient] = set()
        path = (self.host or UNIX + DEFAULT_SOCKET).removeprefix(UNIX)
        self._reads = SocketReads(path, seconds) if path.startswith("/") else None
        self._version = ""

    @property
    def is_local(self) -> bool:
        """Whether the engine's ports are this machine's ports."""
        return not self._elsewhere and (self.host is None or self.host.startswith("unix:"))

    def ask(self, what: str, call: Callable[[APIClient], Any], *, missing: Any = _ERROR) -> Any:
        """The answer to one call; `what` completes "the engine could not …".

        `missing`, if given, is the answer when the object does not exist or is being removed. Raises EngineAwayError
        when the engine does not answer and EngineError for a refusal.
        """
        import docker.errors
        import requests.exceptions

        try:
            return call(self.client())
        except docker.errors.APIError as error:
            gone = error.status_code == 404 or (
                error.status_code == 409 and "in progress" in str(error.explanation)
            )
            if gone and missing is not _ERROR:
                return missing
            raise EngineError(f"the engine could not {what}: {error.explanation}") from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            self.forget_client()
            raise self._away() from error

    def read(
        self,
        what: str,
        path: str,
        *names: str,
        query: Mapping[str, Any] | None = None,
        missing: Any = _ERROR,
    ) -> Any:
        """The data that `GET path` answers; `path` has a `{}` for each of `names`. See `ask` for the rest."""
        answer = self._answer(what, target_of(path, *names, query=query))
        if answer.is_missing and missing is not _ERROR:
            return missing
        if answer.is_refusal:
            raise EngineError(f"the engine could not {what}: {answer.explanation}")
        try:
            return answer.document()
        except ValueError as error:
            raise EngineError(f"the engine could not {what}: its answer is not JSON or was cut") from error

    def content(
        self, what: str, path: str, *names: str, query: Mapping[str, Any] | None = None, missing: bytes
    ) -> bytes:
        """The bytes that `GET path` answers, as in `read`."""
        answer = self._answer(what, target_of(path, *names, query=query))
        if answer.is_missing:
            return missing
        if answer.is_refusal:
            raise EngineError(f"the engine could not {what}: {answer.explanation}")
        return answer.body

    def send(
        self,
        what: str,
        method: str,
        path: str,
        *names: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        missing: Any = _ERROR,
    ) -> Any:
        """The data that another request answers, or None; for what the SDK has no call for. See `ask` for the rest."""
        target = target_of(path, *names, query=query)

        def call(api: APIClient) -> Any:
            # Asked last: to make a client takes a request, too.
            return _send(method, target, body, min(CALL_SECONDS, self._allow()), api)

        return self.ask(what, call, missing=missing)

    def _answer(self, what: str, target: str) -> Answer:
        if self._reads is None:
            answer: Answer = self.ask(what, partial(_get, target))
            return answer
        try:
            return self._reads.get(target)
        except (OSError, HTTPException) as error:
            raise self._away() from error

    def events(self, since: float, filters: Mapping[str, Sequence[str]]) -> Iterator[Mapping[str, Any]]:
        """`GET /events` since a moment, without end and without a timeout. Raises what the transport raises."""
        if self._reads is None:
            # The stubs know whole seconds only; the engine takes fractions, and rounding would repeat events.
            events: Iterator[Mapping[str, Any]] = self.client().events(  # type: ignore[call-overload]
                decode=True, since=since, filters=filters
            )
            return events
        target = target_of("/events", query={"since": f"{since:.9f}", "filters": filters})
        return map(json.loads, whole_lines(self._reads.stream(target)))

    def rows(self, *label: str) -> Sequence[Mapping[str, Any]]:
        """`GET /containers/json`: all containers with this label, or of the engine."""
        return self._rows({"label": list(label)} if label else {})

    def rows_by_id(self, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Those of these containers that exist."""
        return self._rows({"id": sorted(ids)}) if ids else []

    def rows_of(self, project: str) -> Sequence[Mapping[str, Any]]:
        """All containers of a Compose project."""
        return self.rows(f"{COMPOSE_PROJECT}={project}")

    def _rows(self, filters: Mapping[str, Sequence[str]]) -> Sequence[Mapping[str, Any]]:
        query = {"all": 1, "filters": filters}
        rows: list[dict[str, Any]] = self.read("list containers", "/containers/json", query=query)
        return rows

    def inspect(self, container: str) -> Mapping[str, Any] | None:
        """`GET /containers/ID/json`; None for a container that is gone."""
        details: Mapping[str, Any] | None = self.read(
            "inspect a container", "/containers/{}/json", container, missing=None
        )
        return details

    def client(self) -> APIClient:
        """This thread's client. Raises docker.errors.DockerException when the engine does not answer."""
        import docker

        api: APIClient | None = getattr(self._local, "api", None)
        if api is None:
            # Asked once: twenty replicas that stop have a thread each.
            version = self._version or "auto"
            api = docker.APIClient(base_url=self.host, timeout=CALL_SECONDS, version=version)
            self._version = api.api_version
            _keep_few_connections(api)
            self._local.api = api
            self._clients.add(api)
        return api

    def forget_client(self) -> None:
        """Drop this thread's client, so that its next call reconnects."""
        api: APIClient | None = getattr(self._local, "api", None)
        self._local.api = None
        # Another engine may answer the next time.
        self._version = ""
        if api is not None:
            self._clients.discard(api)
            api.close()

    def close(self) -> None:
        """End the connections of all threads."""
        while self._clients:
            self._clients.pop().close()

    def _away(self) -> EngineAwayError:
        return EngineAwayError(
            f"the engine at {self.host or 'the default socket'} does not answer; is dockerd running?"
        )


def _get(target: str, api: APIClient) -> Answer:
    """A read of an engine that is reached in another way, for example by TCP."""
    response = api.get(f"{api.base_url}/v{api.api_version}{target}", timeout=CALL_SECONDS)
    return Answer(response.status_code, response.content)


def _send(method: str, target: str, body: Mapping[str, Any] | None, seconds: float, api: APIClient) -> Any:
    import requests.exceptions
    from docker.errors import create_api_error_from_http_exception

    url = f"{api.base_url}/v{api.api_version}{target}"
    response = api.request(method, url, json=body, timeout=seconds)
    try:
        response.raise_for_status()
    except requests.exceptions.HTTPError as error:
        create_api_error_from_http_exception(error)
    return response.json() if response.content else None


def _keep_few_connections(api: APIClient) -> None:
    """Limits idle connections, since the SDK (7.1) uses `num_pools` for SSH only."""
    from docker.transport import UnixHTTPAdapter

    made = api.get_adapter(api.base_url)
    if isinstance(made, UnixHTTPAdapter):
        url = f"http+unix://{made.socket_path}"
        api.mount("http+docker://", UnixHTTPAdapter(url, CALL_SECONDS, pool_connections=CONNECTIONS))
        made.close()
