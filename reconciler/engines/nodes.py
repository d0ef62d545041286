"""The machines of an engine: the nodes of a Swarm, or the only one of a single host.

Passes see of them only the names of those that are being drained; this is for views, checks and the verbs about nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from reconciler.core.plan.draining import Placed

__all__ = ["ONE_NODE", "Availability", "Drain", "Node", "Nodes", "SwarmFacts"]


class Availability(StrEnum):
    """Whether a node is given instances, in Swarm's words: PAUSE keeps those that it has, DRAIN does not."""

    ACTIVE = "active"
    PAUSE = "pause"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Drain:
    """Instances are to leave a node, as asked at `since`. `stops_pinned`: those that can run nowhere else are to stop."""

    since: datetime
    stops_pinned: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One machine. `drain`: its instances are being replaced by others elsewhere. `problem` is why it is not up. `hostname`
    is what it calls itself, which is its name unless two have the same.

    `is_own`: the engine that was asked runs on it. `is_reachable`: as a manager by the other managers, None for a worker;
    `is_leader` among them. `memory` is in bytes, `since` when the engine first knew it. What the engine does not tell is
    empty or 0.
    """

    id: str
    name: str
    is_up: bool = True
    availability: Availability = Availability.ACTIVE
    drain: Drain | None = None
    problem: str = ""
    is_own: bool = False
    hostname: str = ""
    is_manager: bool = True
    is_leader: bool = False
    is_reachable: bool | None = None
    address: str = ""
    cpus: int = 0
    memory: int = 0
    kernel: str = ""
    system: str = ""
    platform: str = "linux"
    architecture: str = ""
    engine: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    engine_labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def takes_tasks(self) -> bool:
        """Whether new instances may be placed on it, if it is up."""
        return self.availability is Availability.ACTIVE

    @property
    def is_left(self) -> bool:
        """Whether instances are to leave it now. One that was opened beside us would get those that replace them; on one
        that the engine drains nothing is left that could move.
        """
        return self.drain is not None and self.availability is Availability.PAUSE

    def is_selected(self, selector: Mapping[str, str]) -> bool:
        """Whether it has all of these labels."""
        return all(self.labels.get(key) == value for key, value in selector.items())


@dataclass(frozen=True, slots=True)
class SwarmFacts:
    """What only `doctor` asks of a Swarm.

    `overlays`: for which size of packets each overlay is made. `skews`: by how many seconds the clock of a node is ahead of
    the leading manager's, where something has run. `images` are those of instances, `unnamed` those of them without a
    registry, `unavailable` those that this node's engine cannot ask for, each with the reason.
    """

    overlays: Mapping[str, int] = field(default_factory=dict)
    skews: Mapping[str, float] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)


class Nodes(Protocol):
    """The nodes of an engine. Raises EngineError."""

    def all(self) -> Sequence[Node]:
        """All of them as they are now, by name."""

    def volumes(self, node: str) -> Sequence[tuple[str, str]]:
        """The local volumes that pin instances to the node of this ID, each with its project. Of a single node there are
        none.
        """

    def facts(self) -> SwarmFacts | None:
        """For `doctor`; None with one machine."""

    def placed(self) -> Sequence[Placed]:
        """The instances of all objects, with their nodes."""

    def change(self, node: str, availability: Availability, drain: Drain | None) -> None:
        """Set both at once, for the node of this ID. Raises RefusedError where there is one node only."""

    def leave(self, node: str) -> bool:
        """Have the engine keep the node of this ID empty, if instances are to leave it (`is_left`). Returns whether this
        call did so: of several at once, one does. Raises RefusedError where there is one node only.
        """


ONE_NODE: Final = (
    "this engine has one node, so its instances can go nowhere else: `vaultctl stop NAME` stops a service, and "
    "docs/swarm.md says how to run services on several machines"
)
