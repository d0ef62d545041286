"""What the controller needs of a container engine, and nothing more.

Reads are one look at everything; writes are the calls that operations name. Every call has a timeout, raises
EngineError with a sentence for people, and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from reconciler.core.assess.capabilities import EngineCapabilities
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas

OUTPUT_CHARACTERS: Final = 4096
"""Characters of what a command printed that an error repeats."""


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened to a container of this VaultService; an empty name means that the stream was cut."""

    service: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself.

    `parts` are the versions of what it needs beside itself, "" for what is not there. `outlives_restart`: instances go on
    while the engine itself is away. `networks_left` is how many more networks it has addresses for.
    """

    name: str
    version: str
    operating_system: str
    data_directory: str
    outlives_restart: bool
    networks_left: int
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """What runs once in a container of its own.

    `mounts` are directories of the host by where they are read, `user` is "uid:gid"; `longest` is in seconds.
    """

    image: str
    words: Sequence[str]
    mounts: Mapping[Path, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "65534:65534"
    longest: float = 30.0


def shortened(output: str) -> str:
    """The beginning and the end of what a command printed: the first error is the cause, the last line the verdict."""
    half = OUTPUT_CHARACTERS // 2
    return (output if len(output) <= 2 * half else f"{output[:half]} […] {output[-half:]}").strip()


class Engine(Protocol):
    """A container engine."""

    @property
    def capabilities(self) -> EngineCapabilities:
        """What it can do; the same for as long as it lives, and part of what it observes."""

    def observe(self, stack: Stack) -> EngineObservation:
        """All containers of the stack's project in one request, with what a pass needs besides."""

    def pull(self, image: str) -> None:
        """Begin to fetch an image and return; see EngineObservation.pulls. Raises what kept it from coming for good."""

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """Create containers, and the networks and volumes that they name; see EngineCapabilities for whether they start."""

    def recreate(self, stack: Stack, workload: str, image: str = "") -> None:
        """Replace a workload's container by one of its current definition; anonymous volumes move along.

        `image`: the ID of what it is created from, where that is no longer what the definition's tag means.
        """

    def connect(self, stack: Stack, request: ConnectNetwork) -> None:
        """Connect a container to a network, which is made first if it is gone; one that is connected already is fine."""

    def start(self, containers: tuple[str, ...]) -> None:
        """Start containers side by side; one that runs already is fine."""

    def stop(self, container: str, grace: float) -> None:
        """Ask for a stop and return; the engine kills after `grace` seconds, an event tells the end."""

    def remove(self, containers: tuple[str, ...], *, anonymous_volumes: bool = False) -> None:
        """Remove containers side by side and no volume that has a name; one that is gone is fine."""

    def run_once(self, command: Command) -> None:
        """Run a command to its end, without a network. Raises EngineError with what it printed, the beginning and the end
        of it, when it fails or takes too long; leaves no container.
        """

    def tear_down(self, project: str, *, volumes: bool) -> None:
        """Remove containers and networks of a project, and its volumes if asked."""

    def sweep(self) -> None:
        """Remove what a controller that was killed has left behind."""

    def logs(self, container: str, lines: int) -> str:
        """The last lines that a container wrote."""

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """The last lines that a container wrote and every new one, until it ends."""

    def ping(self) -> None:
        """Raise when the engine does not answer."""

    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    def events(self) -> Iterator[EngineEvent]:
        """Events of our containers, for ever: reconnects by itself and says so with an empty event."""
