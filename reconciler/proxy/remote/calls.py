"""The calls that an agent serves: one for each method of a HAProxy (haproxy/reaching.py), and the copy of its files.

A call knows how it is carried out and which answer it has, so the agent and the loop cannot disagree on either. There is no
call that runs a command, names a path of the agent's machine, or passes text on to HAProxy as a command.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints

from reconciler.proxy.base import NewServer
from reconciler.proxy.haproxy.gateway.own_metrics import MAX_METRICS
from reconciler.proxy.haproxy.reaching import OneHAProxy
from reconciler.proxy.remote.values import (
    MAX_PROCESSES,
    MAX_SERVERS,
    Digest,
    FileName,
    MapName,
    Name,
    ServerName,
    SiteKey,
    Value,
    Weight,
    WireActivity,
    WireCertificates,
    WireCounted,
    WireLoaded,
    WireMaps,
    WireProcess,
    maps_of,
)

__all__ = [
    "Activity",
    "AddServers",
    "AnyCall",
    "Call",
    "ChangeCertificates",
    "ChangeMaps",
    "Counts",
    "DeleteServers",
    "DrainServers",
    "HAProxyCall",
    "InstallCertificate",
    "LedTo",
    "ListFiles",
    "Metrics",
    "NextEvents",
    "Pools",
    "Processes",
    "PutFiles",
    "ReadCertificates",
    "ReadMaps",
    "Reload",
    "RequestCertificate",
    "RestoreServers",
    "Serves",
    "SetEntries",
    "SetWeights",
]

MAX_EVENTS: Final = 256
"""Lines of HAProxies in one answer."""
EVENT_BYTES: Final = 512
"""Characters of a line that are sent."""

_Address = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(?:\.[0-9]{1,3}){3}:[0-9]{1,5}$")]
_Options = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_. -]{0,400}$")]
_Names = Annotated[tuple[ServerName, ...], Field(max_length=MAX_SERVERS)]
_Pem = Annotated[str, StringConstraints(pattern=r"^[ -~\n]*$", max_length=16 * 1024)]


class AnyCall(Value):
    """A call; `answer` is the type of its answer."""

    answer: ClassVar[Any] = None

    @classmethod
    def is_change(cls) -> bool:
        """Whether it changes something: such a call has nothing to answer, and all others only read."""
        return cls.answer is None


class HAProxyCall(AnyCall):
    """A call to one HAProxy of a site."""

    @abstractmethod
    def ask(self, at: OneHAProxy) -> Any:
        """Carry it out, and return its answer. Raises what `at` raises."""


class Processes(HAProxyCall):
    """See Pool.processes."""

    do: Literal["processes"] = "processes"
    pool: Name
    answer: ClassVar[Any] = Annotated[tuple[WireProcess, ...], Field(min_length=1, max_length=MAX_PROCESSES)]

    def ask(self, at: OneHAProxy) -> tuple[WireProcess, ...]:
        """See HAProxyCall.ask."""
        return tuple(map(WireProcess.of, at.pool(self.pool).processes()))


class Serves(HAProxyCall):
    """See Pool.serves."""

    do: Literal["serves"] = "serves"
    pool: Name
    answer: ClassVar[Any] = bool

    def ask(self, at: OneHAProxy) -> bool:
        """See HAProxyCall.ask."""
        return at.pool(self.pool).serves()


class _Added(Value):
    name: Name
    address: _Address
    trusted: bool
    weight: Weight
    options: _Options


class AddServers(HAProxyCall):
    """See Pool.add_servers."""

    do: Literal["add-servers"] = "add-servers"
    pool: Name
    servers: Annotated[tuple[_Added, ...], Field(max_length=MAX_SERVERS)]

    @classmethod
    def of(cls, pool: str, servers: Sequence[tuple[NewServer, str]]) -> Self:
        """The call for these servers, with the keywords of each."""
        added = (
            _Added(name=s.name, address=s.address, trusted=s.trusted, weight=s.weight, options=options)
            for s, options in servers
        )
        return cls(pool=pool, servers=tuple(added))

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        options = {each.name: each.options for each in self.servers}
        new = [NewServer(each.name, each.address, each.trusted, each.weight) for each in self.servers]
        at.pool(self.pool).add_servers(new, options.__getitem__)


class SetWeights(HAProxyCall):
    """See Pool.set_weights."""

    do: Literal["set-weights"] = "set-weights"
    pool: Name
    weights: Annotated[tuple[tuple[ServerName, Weight], ...], Field(max_length=MAX_SERVERS)]

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.pool(self.pool).set_weights(self.weights)


class DrainServers(HAProxyCall):
    """See Pool.drain_servers."""

    do: Literal["drain-servers"] = "drain-servers"
    pool: Name
    names: _Names

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.pool(self.pool).drain_servers(self.names)


class RestoreServers(HAProxyCall):
    """See Pool.restore_servers."""

    do: Literal["restore-servers"] = "restore-servers"
    pool: Name
    names: _Names

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.pool(self.pool).restore_servers(self.names)


class DeleteServers(HAProxyCall):
    """See Pool.delete_servers."""

    do: Literal["delete-servers"] = "delete-servers"
    pool: Name
    names: _Names
    force: bool

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.pool(self.pool).delete_servers(self.names, force=self.force)


class Reload(HAProxyCall):
    """See Pool.reload."""

    do: Literal["reload"] = "reload"
    pool: Name
    expected: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")]
    every_pool: bool

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.pool(self.pool).reload(self.expected, every_pool=self.every_pool)


class ReadMaps(HAProxyCall):
    """See OneHAProxy.read_maps."""

    do: Literal["read-maps"] = "read-maps"
    names: Annotated[tuple[MapName, ...], Field(max_length=64)]
    pid: Annotated[int, Field(ge=0, le=2**31)]
    answer: ClassVar[Any] = WireMaps

    def ask(self, at: OneHAProxy) -> dict[str, dict[str, str]]:
        """See HAProxyCall.ask."""
        return maps_of(at.read_maps(self.names, self.pid))


class ChangeMaps(HAProxyCall):
    """See OneHAProxy.change_maps."""

    do: Literal["change-maps"] = "change-maps"
    maps: WireMaps

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.change_maps(self.maps)


class SetEntries(HAProxyCall):
    """See OneHAProxy.set_entries."""

    do: Literal["set-entries"] = "set-entries"
    maps: WireMaps

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.set_entries(self.maps)


class LedTo(HAProxyCall):
    """See OneHAProxy.led_to."""

    do: Literal["led-to"] = "led-to"
    answer: ClassVar[Any] = Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[!-~]{1,63}$")], ...],
        Field(max_length=MAX_SERVERS),
    ]

    def ask(self, at: OneHAProxy) -> tuple[str, ...]:
        """See HAProxyCall.ask."""
        return tuple(sorted(at.led_to()))


class Pools(HAProxyCall):
    """See OneHAProxy.pools. An agent of an earlier release does not know it."""

    do: Literal["pools"] = "pools"
    answer: ClassVar[Any] = Annotated[tuple[Name, ...], Field(max_length=MAX_SERVERS)]

    def ask(self, at: OneHAProxy) -> tuple[str, ...]:
        """See HAProxyCall.ask."""
        return tuple(sorted(at.pools()))


class Activity(HAProxyCall):
    """See OneHAProxy.activity."""

    do: Literal["activity"] = "activity"
    pools: Annotated[tuple[Name, ...], Field(max_length=MAX_SERVERS)]
    answer: ClassVar[Any] = Annotated[tuple[WireActivity, ...], Field(max_length=MAX_PROCESSES * MAX_SERVERS)]

    def ask(self, at: OneHAProxy) -> tuple[WireActivity, ...]:
        """See HAProxyCall.ask."""
        return tuple(map(WireActivity.of, at.activity(self.pools)))


class ReadCertificates(HAProxyCall):
    """See OneHAProxy.read_certificates."""

    do: Literal["read-certificates"] = "read-certificates"
    answer: ClassVar[Any] = WireLoaded

    def ask(self, at: OneHAProxy) -> WireLoaded:
        """See HAProxyCall.ask."""
        return WireLoaded.of(at.read_certificates())


class ChangeCertificates(HAProxyCall):
    """See OneHAProxy.change_certificates."""

    do: Literal["change-certificates"] = "change-certificates"
    certificates: WireCertificates

    def ask(self, at: OneHAProxy) -> None:
        """See HAProxyCall.ask."""
        at.change_certificates(self.certificates.value)


class Counts(HAProxyCall):
    """See OneHAProxy.counted."""

    do: Literal["counts"] = "counts"
    pools: Annotated[tuple[Name, ...], Field(max_length=MAX_SERVERS)]
    answer: ClassVar[Any] = WireCounted

    def ask(self, at: OneHAProxy) -> WireCounted:
        """See HAProxyCall.ask."""
        return WireCounted.of(at.counted(self.pools))


class Metrics(HAProxyCall):
    """See OneHAProxy.metrics."""

    do: Literal["metrics"] = "metrics"
    answer: ClassVar[Any] = Annotated[str, StringConstraints(max_length=MAX_METRICS)]

    def ask(self, at: OneHAProxy) -> str:
        """See HAProxyCall.ask."""
        return at.metrics()


class ListFiles(AnyCall):
    """The digest of each file that an agent has of a site."""

    do: Literal["list-files"] = "list-files"
    answer: ClassVar[Any] = Annotated[dict[FileName, Digest], Field(max_length=MAX_SERVERS)]


class PutFiles(AnyCall):
    """Replace these files of a site, and remove those that are `gone`."""

    do: Literal["put-files"] = "put-files"
    files: Annotated[
        dict[FileName, Annotated[str, StringConstraints(max_length=4 * 1024 * 1024)]],
        Field(max_length=MAX_SERVERS, repr=False),
    ]
    gone: Annotated[tuple[FileName, ...], Field(max_length=MAX_SERVERS)]


class NextEvents(AnyCall):
    """The next lines of HAProxies about their servers, each with its site; none if there are none in so many seconds."""

    do: Literal["events"] = "events"
    seconds: Annotated[float, Field(ge=0, le=30)]
    answer: ClassVar[Any] = Annotated[
        tuple[tuple[SiteKey, Annotated[str, StringConstraints(max_length=EVENT_BYTES)]], ...],
        Field(max_length=MAX_EVENTS),
    ]


class RequestCertificate(AnyCall):
    """Make a new key, and give the signing request for it (PEM)."""

    do: Literal["request-certificate"] = "request-certificate"
    answer: ClassVar[Any] = _Pem


class InstallCertificate(AnyCall):
    """Show this certificate (PEM), which is for the key that was made last, from the next connection on."""

    do: Literal["install-certificate"] = "install-certificate"
    certificate: _Pem


Call = (
    Processes
    | Serves
    | AddServers
    | SetWeights
    | DrainServers
    | RestoreServers
    | DeleteServers
    | Reload
    | ReadMaps
    | ChangeMaps
    | SetEntries
    | LedTo
    | Pools
    | Activity
    | ReadCertificates
    | ChangeCertificates
    | Counts
    | Metrics
    | ListFiles
    | PutFiles
    | NextEvents
    | RequestCertificate
    | InstallCertificate
)
