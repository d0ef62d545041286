"""Commands in throw-away containers: `haproxy -c` of an image on a configuration that it will have to run.

The image is third-party code. It gets no network and no capability; memory, time and output are limited, and it is stopped
by SIGKILL. Leftovers of a killed controller are found by their label.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from time import time
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.labels import THROWAWAY
from reconciler.engines.base import Command, shortened
from reconciler.engines.compose.api import CALL_SECONDS, DockerApi
from reconciler.engines.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

MARGIN_SECONDS: Final = 2 * CALL_SECONDS
"""Seconds beyond its command's limit after which a throw-away container is a leftover."""
UNMARKED_SECONDS: Final = 30.0
"""The limit of a command whose container has no label for it, as those of older controllers."""
LOG_SIZE: Final = "1m"
MEMORY: Final = "512m"
PROCESSES: Final = 128


def run_once(api: DockerApi, command: Command) -> None:
    """Run a command to its end. Raises EngineError with its output, or that it took too long."""
    sweep(api)
    with _container(api, command) as container:
        api.ask("start a container", lambda client: client.start(container))
        code = _wait(api, container, command.longest)
        if code == 0:
            return
        said = _output(api, container)
    if code is None:
        raise EngineError(
            f"{' '.join(command.words)} in {command.image} took longer than {command.longest:g} s"
        )
    raise EngineError(said or f"{command.words[0]} in {command.image} ended with exit code {code}")


def sweep(api: DockerApi) -> None:
    """Remove throw-away containers that no process waits for."""
    for row in api.rows(THROWAWAY):
        longest = row["Labels"].get(THROWAWAY, "")
        seconds = float(longest) if longest.isdecimal() else UNMARKED_SECONDS
        if time() - row["Created"] > seconds + MARGIN_SECONDS:
            api.ask("remove a container", partial(_remove, row["Id"]), missing=None)


@contextmanager
def _container(api: DockerApi, command: Command) -> Iterator[str]:
    container = str(api.ask("create a container", partial(_create, command))["Id"])
    try:
        yield container
    finally:
        api.ask("remove a container", partial(_remove, container), missing=None)


def _create(command: Command, client: APIClient) -> Any:
    from docker.types import LogConfig

    host = client.create_host_config(
        binds={str(path): {"bind": target, "mode": "ro"} for path, target in command.mounts.items()},
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        read_only=True,
        mem_limit=MEMORY,
        pids_limit=PROCESSES,
        log_config=LogConfig(type="json-file", config={"max-size": LOG_SIZE, "max-file": "1"}),
    )
    return client.create_container(
        command.image,
        list(command.words),
        user=command.user,
        environment=dict(command.environment),
        labels={THROWAWAY: str(ceil(command.longest))},
        host_config=host,
    )


def _wait(api: DockerApi, container: str, longest: float) -> int | None:
    """The exit code, or None after the timeout."""
    import requests.exceptions

    def wait(client: APIClient) -> int | None:
        try:
            return int(client.wait(container, timeout=ceil(longest))["StatusCode"])
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
            return None

    code: int | None = api.ask("wait for a container", wait)
    return code


def _output(api: DockerApi, container: str) -> str:
    """Its output, shortened."""
    # The engine itself keeps no more of it than LOG_SIZE.
    said: bytes = api.ask("read logs", lambda client: client.logs(container))
    return shortened(said.decode(errors="replace"))


def _remove(container: str, client: APIClient) -> None:
    client.remove_container(container, v=True, force=True)
