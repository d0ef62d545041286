"""What an engine tells of single instances, for views of what runs: their details, logs, use of the machine and streams.

Apart from `Engine`, because no pass needs it: only the Kubernetes API does, where it is served. Nothing here has
environments, commands or mounts, which may hold secrets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.core.assess.observation import Health, State
from reconciler.core.desired.stack import Role

__all__ = ["Execution", "Instance", "Instances", "LogOptions", "Usage"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One container of an object. `label` is the object's `Ref.label`, `begun` when it last started in the engine's own
    words, which are more exact than `started`.

    `joined` is the ID of the container whose network it lives in, "" for its own; `on_host`: it lives in the host's.
    `node` is the name of the machine that it is on, "" where there is only one; `is_pinned`: it can run on no other.
    `ports` are those of its image and definition; `cpus` and `memory` (bytes) its limits, 0 for none.
    """

    id: str
    name: str
    label: str
    workload: str
    role: Role
    revision: str
    image: str
    state: State
    health: Health
    created: datetime
    started: datetime | None = None
    begun: str = ""
    finished: datetime | None = None
    exit_code: int = 0
    out_of_memory: bool = False
    problem: str = ""
    restarts: int = 0
    addresses: tuple[str, ...] = ()
    joined: str = ""
    on_host: bool = False
    ports: tuple[int, ...] = ()
    cpus: float = 0.0
    memory: int = 0
    has_terminal: bool = False
    node: str = ""
    is_pinned: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it runs, and its own health check, if it has one, agrees."""
        return self.state is State.RUNNING and self.health in (Health.NONE, Health.HEALTHY)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an instance has used: `cpu` seconds since it started, `memory` bytes without the cache of files, at `at`."""

    cpu: float
    memory: int
    at: datetime


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which lines of a log. `since` and `until` are Unix times with a fraction, in the engine's own words; `tail`: so many
    of the last lines, all without it.
    """

    follow: bool = False
    since: str = ""
    until: str = ""
    tail: int | None = None
    timestamps: bool = False


class Execution(Protocol):
    """A command that runs in an instance."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Its output as it comes: 1 for standard output, or the terminal, and 2 for standard error."""

    async def write(self, data: bytes) -> None:
        """Send standard input; waits while the command does not read."""

    async def end_input(self) -> None:
        """Say that no more input comes."""

    async def resize(self, width: int, height: int) -> None:
        """Tell the size of the terminal."""

    async def exit_code(self) -> int | None:
        """The exit code; None if that is not known."""

    def close(self) -> None:
        """End the connection."""


class Instances(Protocol):
    """The containers of all objects. Raises EngineError."""

    def all(self) -> Sequence[Instance]:
        """All of them as they are now."""

    def changes(self) -> Iterator[None]:
        """Yields whenever `all` may answer another thing, without end."""

    def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        """What those of these have used that run on the engine's own machine."""

    def machine_usage(self) -> Usage | None:
        """What all programs of the machine have used; None where the engine is on another one."""

    def log(self, instance: Instance, options: LogOptions) -> AsyncIterator[bytes]:
        """The log of one, both streams together; with `follow` until it ends."""

    async def execute(
        self, instance: Instance, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> Execution:
        """Start a command in one."""
