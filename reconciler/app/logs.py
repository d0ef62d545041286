"""The logs of a service's containers: the last lines, or all new ones, also of new containers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.api.errors import VaultError
from reconciler.core.assess.observation import State

if TYPE_CHECKING:
    from reconciler.core.assess.observation import Container
    from reconciler.core.desired.stack import Stack
    from reconciler.engines.base import Engine

__all__ = ["Logs", "containers_of", "follow", "last", "workloads_of"]

LOOK_SECONDS: Final = 1.0
"""Seconds between two checks for new containers while following."""
MOST_WAITING: Final = 1000
"""Lines that wait for a slow reader; beyond them its containers' logs are not read on."""

Line = tuple["Container", str]


class Logs(Protocol):
    """What has the logs of containers: an engine, or the API of a controller elsewhere."""

    def logs(self, container: str, lines: int) -> str:
        """The last lines that a container wrote."""

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """The last lines that a container wrote and every new one, until it ends."""


def workloads_of(stack: Stack, workload: str | None) -> frozenset[str]:
    """That workload, or those of the pool without one. Raises VaultError for a name that the stack does not have."""
    names = [each.name for each in stack.workloads]
    if workload is None:
        return frozenset(each.name for each in stack.web)
    if workload not in names:
        raise VaultError(f"{stack.name} has no workload {workload!r}; it has: {', '.join(names)}")
    return frozenset([workload])


def containers_of(stack: Stack, workloads: frozenset[str], engine: Engine) -> list[Container]:
    """The containers of these workloads, by name."""
    found = engine.observe(stack).containers
    return sorted((each for each in found if each.workload in workloads), key=lambda each: each.name)


def last(engine: Logs, containers: Sequence[Container], tail: int) -> Iterator[Line]:
    """The last `tail` lines of each container."""
    for container in containers:
        for line in engine.logs(container.id, tail).splitlines():
            yield container, line


def follow(engine: Logs, look: Callable[[], Sequence[Container]], tail: int) -> Iterator[Line]:
    """Lines of all containers as they arrive, without end; one thread for each container."""
    lines: queue.Queue[Line] = queue.Queue(MOST_WAITING)
    seen: set[str] = set()
    followed: set[str] = set()

    def wait_for(container: Container, last: int) -> None:
        # If the engine does not answer, the next observation ends the whole iteration.
        with suppress(VaultError):
            for line in engine.follow(container.id, last):
                lines.put((container, line))
        followed.discard(container.id)

    while True:
        for container in look():
            is_new = container.id not in seen
            if is_new or (container.state is State.RUNNING and container.id not in followed):
                seen.add(container.id)
                followed.add(container.id)
                past = tail if is_new else 0
                threading.Thread(target=wait_for, args=[container, past], daemon=True).start()
        next_look = time.monotonic() + LOOK_SECONDS
        while (left := next_look - time.monotonic()) > 0:
            with suppress(queue.Empty):
                yield lines.get(timeout=left)
