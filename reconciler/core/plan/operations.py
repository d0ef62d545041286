"""Operations and plans: what one pass will do, and why.

An operation is one call that changes something. A plan is the ordered operations of one pass; it prints as text, and what
is printed is what is executed. Operations carry every value that their execution needs, so that the executor has no
decision logic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import DEFAULT_WEIGHT, Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Base of all operations. `detail` is for people, `cause` for people and metrics. `validates`: the proxy's image has to
    accept a configuration for it, if that has a new structure.
    """

    validates: ClassVar[bool] = False

    cause: Cause
    detail: str = ""

    @property
    def kind(self) -> str:
        """The operation's name, as metrics and events use it."""
        return type(self).__name__

    @property
    def sentence(self) -> str:
        """What it does, in a few words."""
        raise NotImplementedError

    def __str__(self) -> str:
        why = f"{self.cause.value}: {self.detail}" if self.detail else self.cause.value
        return f"{self.sentence} ({why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullImage(Operation):
    """Fetch an image that the engine does not have."""

    image: str

    @property
    def sentence(self) -> str:
        return f"pull {self.image}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReplicas(Operation):
    """Create `count` containers of a workload's current definition beside the `existing` ones, without starting them.

    `image`: the ID of what they are created from, where that is no longer what the definition's tag means.
    """

    workload: str
    count: int
    existing: int
    image: str = ""

    @property
    def sentence(self) -> str:
        return f"create {self.count} × {self.workload}{_from(self.image)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProxy(Operation):
    """Create one proxy, in the namespace of `gateway` if there is one; it takes listening sockets over from `handover`, if
    any.

    `namespace` says when that gateway was started, which tells its namespace from those that it had before. `image` as in
    CreateReplicas. `overlay`: what sets this container apart from the others of its workload, as fields of a Compose
    service.
    """

    workload: str
    existing: int
    slot: int
    gateway: str = ""
    namespace: datetime | None = None
    handover: int | None = None
    image: str = ""
    overlay: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def sentence(self) -> str:
        heir = f", taking over from slot {self.handover}" if self.handover is not None else ""
        return f"create {self.workload} in slot {self.slot}{_from(self.image)}{heir}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecreateContainer(Operation):
    """Replace the container of a dependency by one of its current definition, keeping all its volumes.

    `image` as in CreateReplicas.
    """

    workload: str
    image: str = ""

    @property
    def sentence(self) -> str:
        return f"recreate {self.workload}{_from(self.image)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOperation(Operation):
    """Base of the operations on one container; `container` is its full ID, `name` its name for people."""

    container: str
    name: str
    workload: str

    @classmethod
    def on(cls, container: Container, cause: Cause, **fields: Any) -> Self:
        """The operation on this container; `fields` are those that the kind adds, and `detail`."""
        return cls(
            container=container.id, name=container.name, workload=container.workload, cause=cause, **fields
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer(ContainerOperation):
    """Start a container that exists."""

    @property
    def sentence(self) -> str:
        return f"start {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer(ContainerOperation):
    """Ask a container to stop; it is killed after `grace` seconds. `cut` sessions were still open at their deadline."""

    grace: float
    cut: int = 0

    @property
    def sentence(self) -> str:
        return f"stop {self.name}" + (f", cutting {self.cut} sessions" if self.cut else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer(ContainerOperation):
    """Remove a container that has ended.

    Its volumes stay; `anonymous`: those that have no name go with it, because no other container can find them.
    """

    anonymous: bool = False

    @property
    def sentence(self) -> str:
        return f"remove {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectNetwork(ContainerOperation):
    """Connect a running container to a network of its stack that it was taken off; one of `existing` of its workload."""

    network: str
    existing: int

    @property
    def sentence(self) -> str:
        return f"connect {self.name} to {self.network}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureProxy(Operation):
    """Write the proxy's configuration with these servers (name and address), after the proxy's own binary accepted it.

    `weights`: by name, where it is not the default. `file`: its name for people.
    """

    validates = True

    servers: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, int], ...] = ()
    file: str = "haproxy.cfg"

    @property
    def sentence(self) -> str:
        return f"write {self.file} with {len(self.servers)} servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadProxy(ContainerOperation):
    """Let one proxy start a worker with the written configuration; the old one ends with its last session."""

    validates = True

    slot: int

    @property
    def sentence(self) -> str:
        return f"reload {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOperation(Operation):
    """Base of the operations on one server; each is told to the proxy in every one of `slots`."""

    server: str
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddServer(ServerOperation):
    """Make a server take traffic. `trusted`: Docker says healthy, so it is UP before its first check."""

    address: str
    trusted: bool
    weight: int = DEFAULT_WEIGHT

    @property
    def sentence(self) -> str:
        share = f" with weight {self.weight}" if self.weight != DEFAULT_WEIGHT else ""
        return f"add server {self.server} at {self.address}{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeight(ServerOperation):
    """Give a server of the pool another share of new requests; with 0 it gets none, and is not drained."""

    weight: int

    @property
    def sentence(self) -> str:
        return f"set weight {self.weight} of server {self.server}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainServer(ServerOperation):
    """Drain a server on every worker: it finishes its sessions and gets no new ones."""

    @property
    def sentence(self) -> str:
        return f"drain server {self.server}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteServer(ServerOperation):
    """Delete a server. Without `force` the proxy refuses while it has a session; with it, the sessions are cut."""

    force: bool

    @property
    def sentence(self) -> str:
        return f"delete server {self.server}"


def _from(image: str) -> str:
    return f" from {image[:19]}" if image else ""


END_LOOK: Final = 5.0
"""Seconds between two checks of a container that is stopping: an event usually arrives sooner."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Run the next pass in `seconds` at the latest. Without a `reason` the wait is not reported."""

    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one part of a plan: operations, reasons to wait, and the seconds until the next pass."""

    operations: tuple[Operation, ...] = ()
    waiting: tuple[str, ...] = ()
    requeue_after: float | None = None

    @classmethod
    def of(cls, parts: Iterable[Operation | Wait]) -> Step:
        """A step from its parts, in order."""
        operations: list[Operation] = []
        waiting: list[str] = []
        soonest: float | None = None
        for part in parts:
            if isinstance(part, Operation):
                operations.append(part)
                continue
            soonest = part.seconds if soonest is None else min(soonest, part.seconds)
            if part.reason:
                waiting.append(part.reason)
        return cls(tuple(operations), tuple(waiting), soonest)


@dataclass(frozen=True, slots=True)
class Plan:
    """The operations of one pass, in order.

    `waiting` says what the stack is waiting for, `blocked` what a person has to fix first (then there are no operations),
    `requeue_after` in how many seconds to run the next pass without an event. `asleep` says why no web replica is wanted.
    """

    operations: tuple[Operation, ...] = ()
    waiting: tuple[str, ...] = ()
    blocked: str = ""
    asleep: str = ""
    requeue_after: float | None = None

    def __bool__(self) -> bool:
        return bool(self.operations)

    def __str__(self) -> str:
        lines = [f"[{number}] {operation}" for number, operation in enumerate(self.operations, 1)]
        lines += [f"blocked: {self.blocked}"] if self.blocked else []
        lines += [f"waiting: {reason}" for reason in self.waiting]
        lines += [f"asleep: {self.asleep}"] if self.asleep else []
        return "\n".join(lines) or "nothing to do"
