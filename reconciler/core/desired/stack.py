"""The whole desired state of one VaultService, or of one VaultGateway, as plain values.

A Stack is the result of a manifest and a plugin: a Compose document, the workloads in it with their roles and revisions,
the pool that is served, and how replicas may be replaced. Later steps compare a Stack with the observation; none of them
reads a plugin or a manifest again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.core.desired.revision import digest, formula_of
from reconciler.core.routes.routed import Routed

JSON = Mapping[str, Any]

DEFAULT_STOP_GRACE: Final = 10.0
"""Seconds between SIGTERM and SIGKILL where a service does not say, as in Compose."""


class Role(StrEnum):
    """The role of a workload in its stack; decides how it is replaced."""

    GATEWAY = "gateway"
    PROXY = "proxy"
    DEPENDENCY = "dependency"
    JOB = "job"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Workload:
    """One service of the stack.

    `revisions` holds the revision of the same definition under every formula that we still read, so that an upgrade
    of the controller replaces nothing; `revision` is the one written on new containers. `one_shot`: ending with 0
    completes it. `awaited`: another service says that it waits for that. `done`: it was complete once, and is never
    started again. `joins`: the workload whose network namespace it lives in; `shares`: those whose PID or IPC namespace.
    """

    name: str
    role: Role
    replicas: int
    image: str
    revision: str
    revisions: frozenset[str]
    networks: frozenset[str]
    needs: tuple[str, ...] = ()
    port: int | None = None
    stop_grace: float = DEFAULT_STOP_GRACE
    one_shot: bool = False
    awaited: bool = False
    done: bool = False
    joins: str = ""
    shares: frozenset[str] = frozenset()

    def accepts(self, revision: str) -> bool:
        """Whether a container with this revision label runs the current definition."""
        return revision in self.revisions


@dataclass(frozen=True, slots=True)
class Probe:
    """How a proxy asks a replica whether it can serve; `interval` in seconds."""

    path: str
    host: str
    interval: float


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything that a proxy is told beside its servers; durations in seconds.

    `is_stopped`: requests are answered 503 at once, and none is held. `header_kib` is the room for the headers of one
    request; `drop_headers` are names, or beginnings with a `*`, of those that do not reach a replica. `patience`: for how
    long the pool may be empty before the proxy gives up the first request that it holds; `redispatch`: for how long a
    server that no longer answers may keep requests before they go elsewhere. `opens`: the address (empty for all) and the
    port of the host that the proxy opens itself; None where another container holds it.
    """

    pool: str
    health: Probe
    hold_seconds: float
    drain_seconds: float
    header_kib: int = 32
    drop_headers: tuple[str, ...] = ()
    patience: float = 0.0
    redispatch: float = 0.0
    is_stopped: bool = False
    opens: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Strategy:
    """The budget of a rollout, already resolved to whole replicas of the pool; durations in seconds.

    `kind`: the name of the strategy that spends it.
    """

    kind: str
    surge: int
    unavailable: int
    min_ready: float
    progress_deadline: float
    drain: float
    auto_rollback: bool
    paused: bool = False


class RotationMode(StrEnum):
    """Whether all replicas serve, or one at a time."""

    ROLLING = "rolling"
    SINGLE_ACTIVE = "single-active"


@dataclass(frozen=True, slots=True)
class Rotation:
    """Replacing replicas because of their age: `interval` seconds, give or take `jitter` (a fraction of it)."""

    interval: float
    jitter: float
    mode: RotationMode


@dataclass(frozen=True, slots=True)
class Site:
    """Where the files of one object are on the host, and which user the proxy runs as to share them.

    `starter` is the user that opens its sockets, where that is not the one that it runs as: root, to open low ports.
    `sockets` names the directory of them. Another starter needs another one: no user can replace what a former one left.
    """

    directory: Path
    uid: int
    gid: int
    starter: int | None = None
    sockets: str = "run"

    @property
    def config(self) -> Path:
        """The directory of the proxy's configuration; mounted whole, so that a renamed file is seen inside."""
        return self.directory / "haproxy"

    @property
    def run(self) -> Path:
        """The directory of the sockets `admin-<slot>.sock` and `master-<slot>.sock`."""
        return self.directory / self.sockets


@dataclass(frozen=True, slots=True)
class Former:
    """A container of the Compose project that a service was adopted from, the workload that it belongs to, and the revision
    that it counts as; without one it is outdated.
    """

    container: str
    workload: str
    revision: str = ""


@dataclass(frozen=True)
class Stack:
    """What should run for one object, of a `kind`.

    `document` is the Compose file as data, labels included; `published` the host port of its front door, if the stack
    has one: its proxies may belong to another stack, and then `routed` says what it gets of them. `listens` are the
    host ports of a VaultGateway. Web replicas that were created before `rotated_at` are replaced on request, and so are
    those with the IDs `evicted`. `is_stopped`: nothing of the plugin's is to run, and no workload of it has replicas.
    `idle`: after how many seconds without a request its web replicas stop, None for never; `is_asleep`: they are to be
    stopped now, and so have none. `sealed` are the values that come from encrypted files, and must be in no other file;
    `secret_files` are directories of the host, with the files that containers have below /run/secrets. `content` names
    what its Compose file came to, empty for another plugin. `former` are containers of another project that do the work
    of its dependencies, or did. `nodes`: labels of the nodes that a gateway runs on, None for the controller's node.
    """

    name: str
    project: str
    published: int
    site: Site
    document: JSON
    workloads: tuple[Workload, ...]
    proxy: ProxySettings
    strategy: Strategy
    rotation: Rotation | None = None
    rotated_at: datetime | None = None
    evicted: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    kind: Kind = VAULT_SERVICE
    listens: tuple[int, ...] = ()
    routed: Routed | None = None
    is_stopped: bool = False
    idle: float | None = None
    is_asleep: bool = False
    sealed: tuple[str, ...] = field(default=(), repr=False, compare=False)
    secret_files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False, compare=False)
    content: str = ""
    former: tuple[Former, ...] = ()
    nodes: Mapping[str, str] | None = None

    @property
    def label(self) -> str:
        """The name of its object in messages, events and on containers; names alone are unique within a kind only."""
        return Ref(self.kind, self.name).label

    @property
    def host_ports(self) -> tuple[int, ...]:
        """All ports of the host that it opens."""
        return (*((self.published,) if self.published else ()), *self.listens)

    def with_done(self, is_done: Callable[[Workload], bool]) -> Stack:
        """The same stack, with the jobs of which this is true done."""
        if not any(is_done(job) for job in self.of(Role.JOB)):
            return self
        workloads = (
            replace(w, done=True) if w.role is Role.JOB and is_done(w) else w for w in self.workloads
        )
        return replace(self, workloads=tuple(workloads))

    def of(self, *roles: Role) -> tuple[Workload, ...]:
        """The workloads that have one of these roles, in the order of the document."""
        return tuple([workload for workload in self.workloads if workload.role in roles])

    @cached_property
    def web(self) -> tuple[Workload, ...]:
        """The workloads whose replicas are the servers of the pool."""
        return self.of(Role.WEB)

    @cached_property
    def revision(self) -> str:
        """The target of a rollout: one name for the revisions of all its workloads but gateway and proxy, unless it has
        no others.
        """
        return _one_name([w.revision for w in self._rolled])

    @cached_property
    def revisions(self) -> frozenset[str]:
        """The names of this rollout under every formula that is still read."""
        return _names(self._rolled) | {self.revision}

    @property
    def _rolled(self) -> tuple[Workload, ...]:
        return self.of(Role.WEB, Role.DEPENDENCY, Role.JOB) or self.workloads

    @cached_property
    def web_revisions(self) -> frozenset[str]:
        """The names that earlier releases gave to a rollout, which was for them one of the web workloads only."""
        return _names(self.web) | {_one_name([w.revision for w in self.web])}

    @property
    def is_single_active(self) -> bool:
        """Whether one replica serves at a time; a single replica rotates as usual."""
        rotation = self.rotation
        return rotation is not None and rotation.mode is RotationMode.SINGLE_ACTIVE and self.replicas > 1

    @property
    def serving(self) -> int:
        """How many replicas should take traffic at a time."""
        return 1 if self.is_single_active else self.replicas

    @cached_property
    def replicas(self) -> int:
        """How many servers the pool should have."""
        return sum(workload.replicas for workload in self.web)


def _one_name(revisions: Sequence[str]) -> str:
    """The revision of a single workload, or one name for those of several."""
    return revisions[0] if len(revisions) == 1 else f"{formula_of(revisions[0])}-{digest(revisions)}"


def _names(workloads: Sequence[Workload]) -> frozenset[str]:
    """One name for the revisions of these workloads under each formula that is read."""
    formulas = {formula_of(revision) for revision in workloads[0].revisions}
    by_formula = ([_of_formula(each, workload) for workload in workloads] for each in formulas)
    return frozenset(_one_name([one for one in names if one]) for names in by_formula if all(names))


def _of_formula(formula: str, workload: Workload) -> str:
    return next((each for each in sorted(workload.revisions) if formula_of(each) == formula), "")
