"""What the routes of services claim: a host and a path of a gateway's requests, or a port and a name of its connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute

__all__ = ["Claim", "Claimant", "HttpKey", "TcpKey", "claims_of", "prefix_of"]


@dataclass(frozen=True, slots=True)
class Claimant:
    """A VaultService that has routes; `since` is when it was created. `is_stopped`: none of its replicas is to run."""

    name: str
    since: datetime
    routes: tuple[Route, ...] = ()
    tcp: tuple[TcpRoute, ...] = ()
    is_stopped: bool = False


@dataclass(frozen=True, slots=True, order=True)
class HttpKey:
    """Requests of a host (`*.` and a name for all names below it) whose path begins with `prefix`, which ends with '/'."""

    host: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.host}{self.prefix.rstrip('/') or '/'}"


@dataclass(frozen=True, slots=True, order=True)
class TcpKey:
    """Connections to a port, of the clients that ask for `host`; empty for all others."""

    port: int
    host: str

    def __str__(self) -> str:
        return f"port {self.port}" + (f" of {self.host}" if self.host else "")


@dataclass(frozen=True, slots=True)
class Claim:
    """One key that a route asks for. `route` is its id, unique among all services, and `index` its place in the spec."""

    service: str
    since: datetime
    route: str
    index: int
    gateway: str | None
    key: HttpKey | TcpKey

    @property
    def seniority(self) -> tuple[datetime, str, int]:
        """The lowest one keeps a key: the oldest service, then the first name, then the first route."""
        return (self.since, self.service, self.index)


def prefix_of(path: str) -> str:
    """The prefix of all paths at and below this one: /api and /api/ are the same, /apis is another one."""
    return path.rstrip("/") + "/"


def claims_of(claimants: Iterable[Claimant]) -> Iterator[Claim]:
    """All claims of these services."""
    for claimant in claimants:
        for index, route in enumerate(claimant.routes):
            for host in route.hostnames:
                key = HttpKey(host, prefix_of(route.path))
                yield _claim(claimant, f"{claimant.name}.{index}", index, route.gateway, key)
        for index, tcp in enumerate(claimant.tcp):
            for host in tcp.hostnames or ("",):
                name = f"{claimant.name}.tcp{index}"
                yield _claim(claimant, name, index, tcp.gateway, TcpKey(tcp.port, host))


def _claim(claimant: Claimant, route: str, index: int, gateway: str | None, key: HttpKey | TcpKey) -> Claim:
    return Claim(claimant.name, claimant.since, route, index, gateway, key)
