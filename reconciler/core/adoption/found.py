"""What was found of a Compose project on the engine, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.core.assess.observation import State


@dataclass(frozen=True, slots=True)
class FoundMount:
    """A volume of a container, with or without a name of its own."""

    volume: str
    target: str


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container of the project. `files` are the Compose files that it was made from, `hash` is what Compose calls its
    definition, `version` that of this Compose. `ports` maps ports of the container to those of the host.
    """

    id: str
    name: str
    service: str
    state: State
    files: tuple[str, ...]
    hash: str
    version: str
    exit_code: int | None = None
    restart: str = "no"
    retries: int = 0
    mounts: tuple[FoundMount, ...] = ()
    ports: Mapping[int, int] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether it is running."""
        return self.state is State.RUNNING


@dataclass(frozen=True, slots=True)
class FoundProject:
    """A project: its containers, oldest first, what Compose calls the definitions of the present file (`hashes`), the
    `version` of that Compose, and how many bytes are in volumes that no name leads to (`sizes`).
    """

    name: str
    containers: tuple[FoundContainer, ...]
    hashes: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)

    def of(self, service: str) -> tuple[FoundContainer, ...]:
        """The containers of a service."""
        return tuple(each for each in self.containers if each.service == service)
