"""The HAProxies of sites wherever they are: on this machine, or on a node with an agent."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, Protocol

from reconciler.api.errors import VaultError
from reconciler.core.desired.stack import Site
from reconciler.proxy.base import Counted, NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.files import read_files
from reconciler.proxy.haproxy.gateway.activity import PoolActivity
from reconciler.proxy.haproxy.gateway.certificates import Loaded
from reconciler.proxy.haproxy.gateway.maps import Maps
from reconciler.proxy.haproxy.gateway.tls_files import Certificates
from reconciler.proxy.haproxy.reaching import OneHAProxy, Reach, reach
from reconciler.proxy.haproxy.stats import Process
from reconciler.proxy.remote import calls
from reconciler.proxy.remote.files import Digests, order
from reconciler.proxy.remote.line import OtherFilesError
from reconciler.proxy.remote.values import SiteKey, WireCertificates, maps_of

__all__ = ["Asked", "NoLine", "Nodes", "key_of"]

PUT_BYTES: Final = 2 * 1024 * 1024
"""Bytes of files in one request."""
TRIES: Final = 3
"""How often a call is made whose files another thread is changing."""


def key_of(site: Site) -> SiteKey:
    """The name of a site for agents: its directory is `<state>/<kind>/<name>`."""
    kind, name = site.directory.parts[-2:]
    return SiteKey.model_validate({"kind": kind, "name": name, "by_root": site.starter == 0})


class Asked(Protocol):
    """An agent; see Line."""

    @property
    def node(self) -> str:
        """The node of the agent."""

    def ask(
        self, call: calls.Call, until: float, site: SiteKey | None = None, slot: int = 0, files: str = ""
    ) -> Any:
        """The answer to a call."""


@dataclass(frozen=True, slots=True)
class NoLine:
    """Stands for an agent that cannot be asked at all: its HAProxy may be serving."""

    node: str
    why: ProxyError

    def ask(
        self, call: calls.Call, until: float, site: SiteKey | None = None, slot: int = 0, files: str = ""
    ) -> Any:
        """Raises ProxyError."""
        raise ProxyError(self.why.message)


def _endless() -> float:
    """Where there is no other controller."""
    return inf


@dataclass
class Nodes:
    """Reaches HAProxies: `line` gives the agent of the node that has a slot of a site, None for this machine. `left` is
    asked before each change for how many seconds that may last, and raises VaultError if there may be none.
    """

    line: Callable[[Site, int], Asked | None]
    here: Reach = reach
    files: Digests = field(default_factory=Digests)
    left: Callable[[], float] = _endless
    _putting: dict[tuple[str, str], threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def reach(self, site: Site, slot: int, seconds: float) -> OneHAProxy:
        """A Reach for HAProxies that run anywhere."""
        line = self.line(site, slot)
        if line is None:
            return self.here(site, slot, seconds)
        return _Remote(self, line, site, slot, time.monotonic() + seconds)

    def change_until(self, until: float) -> float:
        """When a change that is made now has to be done, at the latest `until` (monotonic seconds). Raises ProxyError."""
        try:
            return min(until, time.monotonic() + self.left())
        except VaultError as error:
            raise ProxyError(error.message) from error

    def put(self, site: Site, line: Asked, until: float) -> None:
        """Make the files that an agent has of a site those that are here; before a HAProxy is started there, and whenever
        they differ. Raises ProxyError, and OSError.
        """
        key = key_of(site)
        with self._putting[line.node, str(site.directory)]:
            there = line.ask(calls.ListFiles(), until, key)
            wanted = self.files.of(site)
            changed = [name for name in wanted if there.get(name) != wanted[name]]
            texts = read_files(site.config, changed)
            gone = tuple(sorted(set(there) - set(wanted)))
            # A file that names others comes after them.
            for part in _parts(sorted(texts, key=order), texts):
                put = calls.PutFiles(files={name: texts[name] for name in part}, gone=())
                line.ask(put, self.change_until(until), key)
            if gone:
                line.ask(calls.PutFiles(files={}, gone=gone), self.change_until(until), key)


@dataclass(frozen=True, slots=True)
class _Remote:
    """Implements OneHAProxy by calls to an agent."""

    nodes: Nodes
    line: Asked
    site: Site
    slot: int
    until: float

    def pool(self, name: str) -> _RemotePool:
        """See OneHAProxy.pool."""
        return _RemotePool(self, name)

    def read_maps(self, names: Iterable[str], pid: int = 0) -> Maps:
        """See OneHAProxy.read_maps."""
        found: Maps = self.ask(calls.ReadMaps(names=tuple(names), pid=pid))
        return found

    def change_maps(self, wanted: Maps) -> None:
        """See OneHAProxy.change_maps."""
        self.ask(calls.ChangeMaps(maps=maps_of(wanted)))

    def set_entries(self, entries: Maps) -> None:
        """See OneHAProxy.set_entries."""
        self.ask(calls.SetEntries(maps=maps_of(entries)))

    def led_to(self) -> frozenset[str]:
        """See OneHAProxy.led_to."""
        return frozenset(self.ask(calls.LedTo()))

    def pools(self) -> frozenset[str]:
        """See OneHAProxy.pools."""
        return frozenset(self.ask(calls.Pools()))

    def activity(self, pools: Sequence[str]) -> Iterable[PoolActivity]:
        """See OneHAProxy.activity."""
        return [each.value for each in self.ask(calls.Activity(pools=tuple(pools)))]

    def read_certificates(self) -> Loaded:
        """See OneHAProxy.read_certificates."""
        loaded: Loaded = self.ask(calls.ReadCertificates()).value
        return loaded

    def change_certificates(self, wanted: Certificates) -> None:
        """See OneHAProxy.change_certificates."""
        self.ask(calls.ChangeCertificates(certificates=WireCertificates.of(wanted)))

    def counted(self, pools: Sequence[str]) -> Counted:
        """See OneHAProxy.counted."""
        counted: Counted = self.read(calls.Counts(pools=tuple(pools))).value
        return counted

    def metrics(self) -> str:
        """See OneHAProxy.metrics."""
        text: str = self.read(calls.Metrics())
        return text

    def read(self, call: calls.Call) -> Any:
        """The answer to a call for which it does not matter which files the agent has. Raises ProxyError."""
        return self.line.ask(call, self.until, key_of(self.site), self.slot)

    def ask(self, call: calls.Call) -> Any:
        """The answer to a call. The agent has the files that are here before it carries one out. Raises ProxyError."""
        for _ in range(TRIES):
            try:
                expected = self.nodes.files.whole(self.site)
                until = self.nodes.change_until(self.until) if call.is_change() else self.until
                return self.line.ask(call, until, key_of(self.site), self.slot, expected)
            except OtherFilesError:
                self._put()
            except OSError as error:
                raise ProxyError(f"cannot read the files of a site: {error}") from error
        raise ProxyError(f"node {self.line.node}: its files change faster than they can be sent")

    def _put(self) -> None:
        try:
            self.nodes.put(self.site, self.line, self.until)
        except OSError as error:
            raise ProxyError(f"cannot read the files of a site: {error}") from error


@dataclass(frozen=True, slots=True)
class _RemotePool:
    """Implements Pool by calls to an agent."""

    at: _Remote
    name: str

    def processes(self) -> tuple[Process, ...]:
        """See Pool.processes."""
        return tuple(each.value for each in self.at.ask(calls.Processes(pool=self.name)))

    def serves(self) -> bool:
        """See Pool.serves. One whose agent is away may be serving, and must not be replaced for that; whether its container
        runs, the engine knows.
        """
        try:
            return bool(self.at.ask(calls.Serves(pool=self.name)))
        except ProxyError:
            return True

    def add_servers(self, servers: Sequence[NewServer], options: Callable[[str], str]) -> None:
        """See Pool.add_servers."""
        self.at.ask(calls.AddServers.of(self.name, [(each, options(each.name)) for each in servers]))

    def set_weights(self, weights: Sequence[tuple[str, int]]) -> None:
        """See Pool.set_weights."""
        self.at.ask(calls.SetWeights(pool=self.name, weights=tuple(weights)))

    def drain_servers(self, names: Sequence[str]) -> None:
        """See Pool.drain_servers."""
        self.at.ask(calls.DrainServers(pool=self.name, names=tuple(names)))

    def restore_servers(self, names: Sequence[str]) -> None:
        """See Pool.restore_servers."""
        self.at.ask(calls.RestoreServers(pool=self.name, names=tuple(names)))

    def delete_servers(self, names: Sequence[str], *, force: bool) -> None:
        """See Pool.delete_servers."""
        self.at.ask(calls.DeleteServers(pool=self.name, names=tuple(names), force=force))

    def reload(self, expected: str, *, every_pool: bool = False) -> None:
        """See Pool.reload."""
        self.at.ask(calls.Reload(pool=self.name, expected=expected, every_pool=every_pool))


def _parts(names: Iterable[str], texts: dict[str, str]) -> Iterable[list[str]]:
    part: list[str] = []
    size = 0
    for name in names:
        if part and size + len(texts[name]) > PUT_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += len(texts[name])
    if part:
        yield part
