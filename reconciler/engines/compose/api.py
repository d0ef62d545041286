"""Calls the Docker API: a client for each thread, a timeout on every call, EngineErrors in place of the SDK's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from reconciler.engines.compose.rows import COMPOSE_PROJECT
from reconciler.engines.errors import EngineAwayError, EngineError

if TYPE_CHECKING:
    from docker import APIClient

CALL_SECONDS: Final = 30
"""Timeout of one API call, in addition to the wait that the call requests."""

CONNECTIONS: Final = 2
"""Idle connections that a client keeps. The SDK keeps one for each URL on a UNIX socket, and a URL names a container: 25 of
them in each of forty threads would be a thousand file descriptors."""

_ERROR: Final = object()


class DockerApi:
    """The engine at `host` (a Docker URL), at $DOCKER_HOST, or at the default socket. Threads may share it."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or None
        self._local = threading.local()
        self._clients: set[APIClient] = set()

    @property
    def is_local(self) -> bool:
        """Whether the engine's ports are this machine's ports."""
        return self.host is None or self.host.startswith("unix:")

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
            raise EngineAwayError(
                f"the engine at {self.host or 'the default socket'} does not answer; is dockerd running?"
            ) from error

    def rows(self, project: str | None = None) -> Sequence[Mapping[str, Any]]:
        """`GET /containers/json`: all containers of a Compose project, or of the engine."""
        filters = {"label": f"{COMPOSE_PROJECT}={project}"} if project else {}
        rows: list[dict[str, Any]] = self.ask(
            "list containers", lambda api: api.containers(all=True, filters=filters)
        )
        return rows

    def client(self) -> APIClient:
        """This thread's client. Raises docker.errors.DockerException when the engine does not answer."""
        import docker

        api: APIClient | None = getattr(self._local, "api", None)
        if api is None:
            api = docker.APIClient(base_url=self.host, timeout=CALL_SECONDS, version="auto")
            _keep_few_connections(api)
            self._local.api = api
            self._clients.add(api)
        return api

    def forget_client(self) -> None:
        """Drop this thread's client, so that its next call reconnects."""
        api: APIClient | None = getattr(self._local, "api", None)
        self._local.api = None
        if api is not None:
            self._clients.discard(api)
            api.close()

    def close(self) -> None:
        """End the connections of all threads."""
        while self._clients:
            self._clients.pop().close()


def _keep_few_connections(api: APIClient) -> None:
    """Limits idle connections, since the SDK (7.1) uses `num_pools` for SSH only."""
    from docker.transport import UnixHTTPAdapter

    made = api.get_adapter(api.base_url)
    if isinstance(made, UnixHTTPAdapter):
        url = f"http+unix://{made.socket_path}"
        api.mount("http+docker://", UnixHTTPAdapter(url, CALL_SECONDS, pool_connections=CONNECTIONS))
        made.close()
