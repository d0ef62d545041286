"""One way to call the Docker API: a client for each thread, a timeout on every call, our errors instead of its own.

`ask` goes through the SDK; `read` is for what a look needs, and does without the SDK where the engine is on this machine.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from reconciler.engines.docker_reader import DEFAULT_SOCKET, Reader
from reconciler.engines.docker_rows import COMPOSE_PROJECT
from reconciler.engines.errors import EngineAwayError, EngineError

if TYPE_CHECKING:
    from docker import APIClient

CALL_SECONDS: Final = 30
"""Timeout of one API call, beyond what the call itself is asked to wait for."""

_ERROR: Final = object()


class DockerApi:
    """The engine at `host` (a Docker URL), at $DOCKER_HOST, or at the default socket. Threads may share it."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or None
        self._local = threading.local()
        self._clients: set[APIClient | Reader] = set()

    @property
    def is_local(self) -> bool:
        """Whether the engine's ports are this machine's ports."""
        return self.host is None or self.host.startswith("unix:")

    def ask(self, what: str, call: Callable[[APIClient], Any], *, missing: Any = _ERROR) -> Any:
        """The answer to one call; `what` completes "the engine could not …".

        `missing`, if given, is the answer when the thing asked about is not there or is just going. Raises
        EngineAwayError when nobody answers and EngineError for a refusal.
        """
        import docker.errors
        import requests.exceptions

        try:
            return call(self.client())
        except docker.errors.APIError as error:
            if missing is not _ERROR and _is_gone(error.status_code or 500, str(error.explanation)):
                return missing
            raise EngineError(f"the engine could not {what}: {error.explanation}") from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            self.forget_client()
            raise self._away() from error

    def read(self, what: str, path: str, query: Mapping[str, str], *, missing: Any = _ERROR) -> Any:
        """The JSON answer to `GET path`; arguments and errors are those of `ask`."""
        path = f"{path}?{urlencode(query)}" if query else path
        try:
            status, answer = self._get(what, path)
        except (OSError, HTTPException) as error:
            raise self._away() from error
        except ValueError as error:
            raise EngineError(f"the engine could not {what}: its answer is no JSON") from error
        if status < 400:
            return answer
        explanation = str(answer.get("message") if isinstance(answer, dict) else answer)
        if missing is not _ERROR and _is_gone(status, explanation):
            return missing
        raise EngineError(f"the engine could not {what}: {explanation}")

    def _get(self, what: str, path: str) -> tuple[int, Any]:
        if self.is_local:
            return self._reader().get(path)
        response = self.ask(what, lambda api: api.get(f"{api.base_url}{path}", timeout=CALL_SECONDS))
        return response.status_code, response.json()

    def _reader(self) -> Reader:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            socket = (self.host or DEFAULT_SOCKET).removeprefix("unix:")
            reader = Reader(f"/{socket.lstrip('/')}", CALL_SECONDS)
            self._local.reader = reader
            self._clients.add(reader)
        return reader

    def _away(self) -> EngineAwayError:
        return EngineAwayError(
            f"the engine at {self.host or 'the default socket'} does not answer; is dockerd running?"
        )

    def rows(self, project: str | None = None) -> Sequence[Mapping[str, Any]]:
        """`GET /containers/json`: all containers of a Compose project, or of the engine."""
        query = {"all": "1"}
        if project:
            query["filters"] = json.dumps({"label": [f"{COMPOSE_PROJECT}={project}"]})
        rows: list[dict[str, Any]] = self.read("list containers", "/containers/json", query)
        return rows

    def client(self) -> APIClient:
        """This thread's client. Raises docker.errors.DockerException when the engine is away."""
        import docker

        api: APIClient | None = getattr(self._local, "api", None)
        if api is None:
            api = docker.APIClient(base_url=self.host, timeout=CALL_SECONDS, version="auto")
            self._local.api = api
            self._clients.add(api)
        return api

    def forget_client(self) -> None:
        """Let this thread connect anew next time."""
        api: APIClient | None = getattr(self._local, "api", None)
        self._local.api = None
        if api is not None:
            self._clients.discard(api)
            api.close()

    def close(self) -> None:
        """End the connections of all threads."""
        while self._clients:
            self._clients.pop().close()


def _is_gone(status: int, explanation: str) -> bool:
    """Whether a refusal says that the thing is not there, or is just going."""
    return status == 404 or (status == 409 and "in progress" in explanation)
