"""Follows the logs of containers, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from reconciler.engines.errors import EngineAwayError, EngineError

if TYPE_CHECKING:
    from docker import APIClient


def follow(host: str | None, container: str, lines: int) -> Iterator[str]:
    """The last `lines` lines of a container and then every new one, both streams, until it ends or is gone.

    Uses its own connection without a deadline: a service may be silent for days. Raises EngineError.
    """
    import docker
    import docker.errors
    import requests.exceptions

    try:
        api: APIClient = docker.APIClient(base_url=host, timeout=None, version="auto")  # type: ignore[arg-type]
        with api:
            chunks: Any = api.logs(container, stream=True, follow=True, tail=lines)
            yield from whole_lines(chunks)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        raise EngineError(f"the engine could not read logs: {error.explanation}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise EngineAwayError("the engine does not answer any more; is dockerd running?") from error


def whole_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines without their ends; a chunk of the stream may hold several of them, or a part of one."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (line.rstrip(b"\r").decode(errors="replace") for line in complete)
    if rest:
        yield rest.decode(errors="replace")
