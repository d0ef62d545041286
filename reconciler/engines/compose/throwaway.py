"""Commands in throw-away containers: `haproxy -c` of an image on a configuration that it will have to run.

The image is foreign code. It gets no network, no capability and little room, its time and its output are bounded,
and it ends by SIGKILL. What a killed controller left behind is found by its label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.labels import THROWAWAY
from reconciler.engines.compose.api import CALL_SECONDS, DockerApi
from reconciler.engines.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

LONGEST_SECONDS: Final = 30
"""How long a command may take; `haproxy -c` takes a tenth of a second."""
LEFT_BEHIND_SECONDS: Final = LONGEST_SECONDS + 2 * CALL_SECONDS
"""A throw-away container that is older belongs to no process that still waits for it."""
OUTPUT_BYTES: Final = 4096
LOG_SIZE: Final = "1m"
MEMORY: Final = "512m"
PROCESSES: Final = 128


@dataclass(frozen=True, slots=True)
class Command:
    """What to run; `mounts` are directories of the host by where they are read, `user` is "uid:gid"."""

    image: str
    words: Sequence[str]
    mounts: Mapping[Path, str]
    environment: Mapping[str, str]
    user: str


def run_once(api: DockerApi, command: Command, longest: int = LONGEST_SECONDS) -> None:
    """Run a command to its end. Raises EngineError with what it printed, or that it took too long."""
    sweep(api)
    with _container(api, command) as container:
        api.ask("start a container", lambda client: client.start(container))
        code = _wait(api, container, longest)
        if code == 0:
            return
        said = _output(api, container)
    if code is None:
        raise EngineError(f"{' '.join(command.words)} in {command.image} took longer than {longest} s")
    raise EngineError(said or f"{command.words[0]} in {command.image} ended with exit code {code}")


def sweep(api: DockerApi) -> None:
    """Remove the throw-away containers that nothing waits for any more."""
    filters = {"label": THROWAWAY}
    rows = api.ask("list containers", lambda client: client.containers(all=True, filters=filters))
    for row in rows:
        if time() - row["Created"] > LEFT_BEHIND_SECONDS:
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
        labels={THROWAWAY: "true"},
        host_config=host,
    )


def _wait(api: DockerApi, container: str, longest: int) -> int | None:
    """The exit code, or None when the time is over."""
    import requests.exceptions

    def wait(client: APIClient) -> int | None:
        try:
            return int(client.wait(container, timeout=longest)["StatusCode"])
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
            return None

    code: int | None = api.ask("wait for a container", wait)
    return code


def _output(api: DockerApi, container: str) -> str:
    """The beginning and the end of what it printed: the first error is the cause, the last line often the verdict."""
    # The engine itself keeps no more of it than LOG_SIZE.
    said: bytes = api.ask("read logs", lambda client: client.logs(container))
    if len(said) > OUTPUT_BYTES:
        half = OUTPUT_BYTES // 2
        said = said[:half] + " […] ".encode() + said[-half:]
    return said.decode(errors="replace").strip()


def _remove(container: str, client: APIClient) -> None:
    client.remove_container(container, v=True, force=True)
