"""The values that the loop and an agent send each other, as JSON: strict, bounded, and of a form that cannot be more.

What an agent says of servers and workers has the bounds that the answers of a HAProxy have (proxy/haproxy/stats.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from reconciler.core.assess.observation import MAX_WEIGHT, Admin, Server
from reconciler.core.traffic.tally import Tally
from reconciler.proxy.base import Counted
from reconciler.proxy.errors import quoted
from reconciler.proxy.haproxy.gateway.activity import PoolActivity
from reconciler.proxy.haproxy.gateway.certificates import Loaded
from reconciler.proxy.haproxy.gateway.tls_files import CHALLENGES, LIST, Certificates, Served
from reconciler.proxy.haproxy.stats import MAX_SERVERS, Info, Process
from reconciler.proxy.haproxy.times import CLASSES

__all__ = [
    "MAX_PROCESSES",
    "MAX_SERVERS",
    "Amount",
    "Digest",
    "FileName",
    "MapName",
    "Name",
    "ServerName",
    "SiteKey",
    "Value",
    "Weight",
    "WireActivity",
    "WireCertificates",
    "WireCounted",
    "WireLoaded",
    "WireMaps",
    "WireProcess",
    "faults_of",
    "maps_of",
]

MAX_PROCESSES: Final = 65
"""A current worker, and as many old ones as are observed (runtime.MAX_OLD_WORKERS)."""
MAX_FAULTS: Final = 3
MAX_HOSTS: Final = 10_000
MAX_PEM: Final = 64 * 1024

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
"""The name of a pool, or of a server that the controller made."""
ServerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
"""The name of any server that a HAProxy has."""
MapName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,62}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^(?:(?:maps|pages|pools|tls)/)?[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.[a-z]{2,8}$"),
]
"""A file of a site's configuration, relative to its directory: in that directory, or in one below it."""
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
"""Of seconds, or of something that is counted."""

_Count = Annotated[int, Field(ge=0, le=10**15)]
_Pid = Annotated[int, Field(ge=0, le=2**31)]
_Structure = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]
_Address = Annotated[str, StringConstraints(pattern=r"^[!-~]{0,128}$")]
_Text = Annotated[str, StringConstraints(pattern=r"^[ -~]{0,200}$")]
_Entry = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,16384}$")]
_Host = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
_Path = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,512}$")]
_Pem = Annotated[str, StringConstraints(pattern=r"^[ -~\n]*$", max_length=MAX_PEM)]

WireMaps = Annotated[dict[MapName, dict[_Entry, _Entry]], Field(max_length=64)]


class Value(BaseModel):
    """A value of a message; errors do not repeat it, because it may be a key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def faults_of(error: ValidationError) -> str:
    """Where a message is wrong, and in which way, without what it says there; the first few places."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FAULTS]
    return "; ".join(f"{_place(each['loc'])}: {each['type']}" for each in found)


def _place(location: tuple[int | str, ...]) -> str:
    # Names of fields that are too many come from the other side.
    text = "".join(c if " " <= c <= "~" else "?" for c in ".".join(map(str, location)))
    return quoted(text) or "the whole"


class SiteKey(Value):
    """A site: of which object its files are. `by_root`: its sockets are opened by root."""

    kind: Literal["services", "gateways"]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
    by_root: bool = False


class _WireServer(Value):
    name: ServerName
    address: _Address
    draining: bool
    up: bool
    sessions: _Count
    since: Amount
    check: _Text
    weight: Weight


class WireProcess(Value):
    """A worker; see stats.Process."""

    pid: _Pid
    structure: _Structure
    stopping: bool
    uptime: Amount
    serving: bool
    servers: Annotated[tuple[_WireServer, ...], Field(max_length=MAX_SERVERS)]

    @classmethod
    def of(cls, process: Process) -> WireProcess:
        """What is sent of a worker."""
        info = process.info
        servers = tuple(
            _WireServer(
                name=each.name,
                address=each.address,
                draining=each.admin is Admin.DRAIN,
                up=each.up,
                sessions=each.sessions,
                since=each.since,
                check="".join(c if " " <= c <= "~" else "?" for c in each.check[:200]),
                weight=each.weight,
            )
            for each in process.servers
        )
        return cls(
            pid=info.pid,
            structure=info.structure,
            stopping=info.stopping,
            uptime=info.uptime,
            serving=process.serving,
            servers=servers,
        )

    @property
    def value(self) -> Process:
        """The worker."""
        servers = tuple(
            Server(
                each.name,
                each.address,
                Admin.DRAIN if each.draining else Admin.READY,
                each.up,
                each.sessions,
                each.since,
                each.check,
                each.weight,
            )
            for each in self.servers
        )
        return Process(Info(self.pid, self.structure, self.stopping, self.uptime), servers, self.serving)


class WireActivity(Value):
    """See activity.PoolActivity."""

    idle: Amount
    is_known: bool
    open: _Count

    @classmethod
    def of(cls, activity: PoolActivity) -> WireActivity:
        """What is sent of it."""
        return cls(idle=activity.idle, is_known=activity.is_known, open=activity.open)

    @property
    def value(self) -> PoolActivity:
        """The activity."""
        return PoolActivity(self.idle, self.is_known, self.open)


class _WireTally(Value):
    requests: _Count
    errors: _Count
    times: Annotated[tuple[_Count, ...], Field(min_length=CLASSES, max_length=CLASSES)]


class WireCounted(Value):
    """See base.Counted."""

    pid: _Pid
    uptime: Amount
    tallies: Annotated[dict[Name, _WireTally], Field(max_length=MAX_SERVERS)]

    @classmethod
    def of(cls, counted: Counted) -> WireCounted:
        """What is sent of it."""
        tallies = {
            pool: _WireTally(requests=each.requests, errors=each.errors, times=each.times)
            for pool, each in counted.tallies.items()
        }
        return cls(pid=counted.pid, uptime=counted.uptime, tallies=tallies)

    @property
    def value(self) -> Counted:
        """What was counted."""
        tallies = {pool: Tally(each.requests, each.errors, each.times) for pool, each in self.tallies.items()}
        return Counted(self.pid, self.uptime, tallies)


class _WireListed(Value):
    where: _Path
    path: _Path
    hosts: Annotated[tuple[_Host, ...], Field(max_length=MAX_HOSTS)]
    lines: Annotated[tuple[_Count, ...], Field(max_length=MAX_HOSTS)]


class WireLoaded(Value):
    """The certificates that a worker has; see certificates.Loaded."""

    identities: Annotated[
        dict[_Path, Annotated[str, StringConstraints(pattern=r"^[0-9A-F ]{0,64}$")]],
        Field(max_length=MAX_HOSTS),
    ]
    lists: Annotated[tuple[_Path, ...], Field(max_length=8)]
    listed: Annotated[tuple[_WireListed, ...], Field(max_length=MAX_HOSTS)]
    begun: Annotated[tuple[_Path, ...], Field(max_length=MAX_HOSTS)]

    @classmethod
    def of(cls, loaded: Loaded) -> WireLoaded:
        """What is sent of them: no keys, and no certificates."""
        listed = (
            _WireListed(where=where, path=path, hosts=hosts, lines=loaded.lines.get((where, path), ()))
            for (where, path), hosts in loaded.hosts.items()
        )
        return cls(
            identities=dict(loaded.identities),
            lists=tuple(sorted(loaded.lists)),
            listed=tuple(listed),
            begun=loaded.begun,
        )

    @property
    def value(self) -> Loaded:
        """The certificates."""
        return Loaded(
            self.identities,
            frozenset(self.lists),
            {(each.where, each.path): each.hosts for each in self.listed},
            {(each.where, each.path): each.lines for each in self.listed},
            self.begun,
        )


class _WireServed(Value):
    hosts: Annotated[tuple[_Host, ...], Field(max_length=MAX_HOSTS)]
    pem: _Pem = Field(repr=False)
    challenge: bool


class WireCertificates(Value):
    """The certificates of a gateway, with their keys; see tls_files.Certificates."""

    default: _Pem = Field(repr=False)
    served: Annotated[tuple[_WireServed, ...], Field(max_length=MAX_HOSTS)]

    @classmethod
    def of(cls, certificates: Certificates) -> WireCertificates:
        """What is sent of them."""
        served = (
            _WireServed(hosts=each.hosts, pem=each.pem, challenge=each.where == CHALLENGES)
            for each in certificates.served
        )
        return cls(default=certificates.default, served=tuple(served))

    @property
    def value(self) -> Certificates:
        """The certificates."""
        served = (
            Served(each.hosts, each.pem, CHALLENGES if each.challenge else LIST) for each in self.served
        )
        return Certificates(self.default, tuple(served))


def maps_of(maps: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Maps as they are sent."""
    return {name: dict(entries) for name, entries in maps.items()}
