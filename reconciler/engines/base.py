"""What the controller needs of a container engine, and nothing more.

Reads are one look at everything; writes are the calls that operations name. Every call has a timeout, raises
EngineError with a sentence for people, and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.assess.observed import EngineObserved
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened to a container of this VaultService; an empty name means that the stream was cut."""

    service: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself; `networks_left` is how many more its address pools have room for."""

    version: str
    compose_version: str
    live_restore: bool
    root_directory: str
    operating_system: str
    networks_left: int


class Engine(Protocol):
    """A container engine."""

    def observe(self, stack: Stack) -> EngineObserved:
        """All containers of the stack's project in one request, with what a pass needs besides."""

    def pull(self, image: str) -> None:
        """Begin to fetch an image and return; see EngineObserved.pulls. Raises what kept it from coming for good."""

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """Create containers (and the networks and volumes that they name) without starting them."""

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
