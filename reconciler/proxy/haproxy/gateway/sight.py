"""What was seen of a gateway at one moment, beside its containers: its files, and each HAProxy that answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.core.assess.observation import Admin, ProxyInstance, ProxyWorker, Server
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway
from reconciler.proxy.haproxy.gateway.maps import Maps

__all__ = ["Leftover", "Sight", "up_in"]


@dataclass(frozen=True, slots=True)
class Leftover:
    """The servers of a pool that no route leads to, over all workers of the HAProxies that answer.

    `servers` are those of workers that take new connections, `current` those of them that are not drained. `sessions` are
    open in all workers together; `since`: seconds that the status of all of them has lasted.
    """

    servers: tuple[str, ...] = ()
    current: tuple[str, ...] = ()
    sessions: int = 0
    since: float = 0.0

    @classmethod
    def of(cls, workers: Iterable[ProxyWorker]) -> Leftover:
        """What these workers have of a pool."""
        views = [(worker.current, server) for worker in workers for server in worker.servers]
        return cls(
            servers=tuple(sorted({server.name for current, server in views if current})),
            current=tuple(
                sorted({server.name for current, server in views if current and server.admin is Admin.READY})
            ),
            sessions=sum(server.sessions for _, server in views),
            since=min((server.since for _, server in views), default=0.0),
        )


def up_in(workers: Iterable[ProxyWorker]) -> frozenset[str]:
    """The servers that get new requests in these workers."""
    return frozenset(
        server.name
        for worker in workers
        for server in worker.servers
        if worker.current and server.admin is Admin.READY and server.up
    )


@dataclass(frozen=True, slots=True)
class Sight:
    """`slots` are those that were named to services, `places` the nodes of those that an agent serves. `instances` are the
    HAProxies that were asked, and `maps` those of each that answers, by its container's ID; `unfilled` are the pools that
    it does not have the replicas of, although routes are to move there from pools that have them, and `damaged` those that
    it has replicas in, although their files are not as they were rendered. `leftovers` are the pools that no route leads to
    and that may have servers. `readiness`: what stands for the answer of each HAProxy that has the path of
    `spec.readiness`. `is_certified`: the certificates that are wanted are written. `uncertified` are the containers' IDs of
    HAProxies that have others.
    """

    written: WrittenGateway = field(default_factory=WrittenGateway)
    slots: tuple[int, ...] = ()
    places: Mapping[int, str] = field(default_factory=dict)
    instances: tuple[ProxyInstance, ...] = ()
    maps: Mapping[str, Maps] = field(default_factory=dict)
    unfilled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    damaged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leftovers: Mapping[str, Leftover] = field(default_factory=dict)
    readiness: Mapping[str, Server] = field(default_factory=dict)
    is_certified: bool = True
    uncertified: frozenset[str] = frozenset()
