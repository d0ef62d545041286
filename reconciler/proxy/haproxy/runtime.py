"""Commands to one running HAProxy: show its state, add, drain or delete a server, reload.

Every change starts with an observation and is safe to repeat. The answer to every command is compared with the success
answers of HAProxy 3.0; any other answer is an error that quotes it, because stopping a server that is not really drained
loses requests. A stopping worker refuses changes of servers and takes no new connection, so it is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.assess.observation import DEFAULT_WEIGHT, Admin
from reconciler.proxy.errors import MAX_LOG, ProxyError, quoted
from reconciler.proxy.haproxy.config import weighed
from reconciler.proxy.haproxy.files import handed_over
from reconciler.proxy.haproxy.socket import CURRENT, Master, ask, converse, process
from reconciler.proxy.haproxy.stats import Info, Process, find, old_pids, read_info, read_servers

__all__ = ["Runtime"]

RELOAD_TIMEOUT: Final = 15.0
"""Seconds for a reload: reading the configuration, starting the worker, and its first answer."""

MAX_OLD_WORKERS: Final = 64
"""Maximum number of old workers to observe. The master itself ends those that are more than 50 reloads old."""

_STREAM: Final = re.compile(r"0x[0-9a-f]{1,16}")
_DONE: Final = ""
_NO_SERVER: Final = "No such server."
_NO_POOL: Final = "No such proxy."
_ADDED: Final = "New server registered."
_REMOVABLE: Final = "Done."
_DELETED: Final = "Server deleted."
_RELOADED: Final = "Success=1"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One HAProxy, and the pool that it serves."""

    master: Master
    pool: str

    def processes(self) -> tuple[Process, ...]:
        """All workers, the current one first, in one round trip plus one for each old worker.

        Raises ProxyAwayError and ProxyError.
        """
        workers, info, stats = ask(
            self.master, ["show proc", f"{CURRENT} show info", f"{CURRENT} {self._show_servers}"]
        )
        current = self._process(info, stats)
        if len(old := old_pids(workers)) > MAX_OLD_WORKERS:
            raise ProxyError(
                f"HAProxy in slot {self.master.slot} tells of {len(old)} old workers, more than {MAX_OLD_WORKERS}"
            )
        return (current, *filter(None, (self._old(pid) for pid in old)))

    def add_server(
        self, name: str, address: str, checks: str, *, trusted: bool, weight: int = DEFAULT_WEIGHT
    ) -> None:
        """Add the server at this address and enable it: at once when trusted, else after its first good check. `checks` are
        the keywords of its health check.
        """
        current = self._current()
        if current.info.stopping:
            return
        known = find(current.servers, name)
        if known is not None and known.address != address:
            self.delete_server(name, force=True)
            known = None
        if known is not None and known.admin is Admin.READY:
            return
        server = f"{self.pool}/{name}"
        commands = [] if known else [(f"add server {server} {address} {checks}", _ADDED)]
        commands.append((f"enable health {server}", _DONE))
        commands.append((f"set server {server} weight {weighed(weight)}", _DONE))
        if not trusted:
            # A server that leaves maintenance is UP until a check fails. Drained, it gets no request until it
            # has been set DOWN.
            commands.append((f"set server {server} state drain", _DONE))
            commands.append((f"set server {server} health down", _DONE))
        commands.append((f"set server {server} state ready", _DONE))
        self._expect(commands)

    def set_weight(self, name: str, weight: int) -> None:
        """Give the server this share of new requests. An absent server has none."""
        current = self._current()
        if not current.info.stopping and find(current.servers, name):
            self._expect([(f"set server {self.pool}/{name} weight {weighed(weight)}", _DONE, _NO_SERVER)])

    def drain_server(self, name: str) -> None:
        """Send no new requests to the server; its sessions end by themselves. An absent server counts as drained.

        Uses maintenance and not HAProxy's drain state: neither affects running requests, but only maintenance resets the
        time of the last change, and deleting a server requires it.
        """
        current = self._current()
        if not current.info.stopping and find(current.servers, name):
            self._expect([(f"set server {self.pool}/{name} state maint", _DONE, _NO_SERVER)])

    def delete_server(self, name: str, *, force: bool) -> None:
        """Delete the server. Without `force` raise ProxyError while it has a session; with it, cut its sessions, also those
        in old workers. An absent server counts as deleted.
        """
        if force:
            for worker in self.processes():
                if not worker.serving and (known := find(worker.servers, name)) and known.sessions:
                    self._cut(worker.info.pid, name)
        current = self._current()
        if current.info.stopping or (known := find(current.servers, name)) is None:
            return
        server = f"{self.pool}/{name}"
        self._expect([(f"set server {server} state maint", _DONE, _NO_SERVER)])
        if force:
            self._expect([(f"shutdown sessions server {server}", _DONE, _NO_SERVER)])
        # The next command interrupts `wait`, during which HAProxy ends the sessions that were cut.
        waited, deleted = self._ask([f"wait 1s srv-removable {server}", f"del server {server}"])
        if deleted not in (_DELETED, _NO_SERVER):
            busy = find(self._current().servers, name) or known
            raise ProxyError(
                f"server {name} cannot be deleted, it still has {busy.sessions} sessions in HAProxy slot "
                f'{self.master.slot}: "{quoted(waited)}", "{quoted(deleted)}"'
            )

    def reload(self, expected: str) -> None:
        """Start a worker with the written configuration; `expected` is the structure that it has to report.

        Servers that are DOWN or drained keep their state and its time: by default a new worker treats all of them as UP.
        Raises ProxyError with HAProxy's start-up log when it does not start; the old worker then keeps serving.
        """
        # A new pool has no states to pass on; the error answer is not a valid state file either.
        (states,) = self._ask([f"show servers state {self.pool}"])
        with handed_over(self.master.site, self.master.slot, states):
            said = converse(self.master, ["reload"], timeout=RELOAD_TIMEOUT).strip()
        result, _, log = said.partition("\n--\n")
        if result != _RELOADED:
            raise ProxyError(
                f"HAProxy in slot {self.master.slot} did not accept its new configuration and keeps the old one: "
                f"{quoted(log or result, MAX_LOG) or 'no reason given, see the log of its container'}"
            )
        if (started := self._current().info).structure != expected:
            raise ProxyError(
                f"HAProxy in slot {self.master.slot} was reloaded with {started.structure or 'something else'}, "
                f"not with {expected}: its configuration directory is not the one that was written"
            )

    @property
    def _show_servers(self) -> str:
        # Type 4 (servers) of all objects (-1) in the pool.
        return f"show stat {self.pool} 4 -1"

    def _current(self) -> Process:
        info, stats = self._ask(["show info", self._show_servers])
        return self._process(info, stats)

    def _old(self, pid: int) -> Process | None:
        at = process(pid)
        said = converse(self.master, [f"{at} show info", f"{at} {self._show_servers}"])
        info, _, stats = said.partition("\n\n")
        # It may have ended since it was listed; the master then answers with a message instead of a table.
        return self._process(info, stats.rstrip(), old=True) if stats.startswith("#") else None

    def _process(self, info: str, stats: str, *, old: bool = False) -> Process:
        try:
            told: Info = read_info(info)
            # A worker does not know a renamed pool until a reload.
            servers = () if stats == _NO_POOL else read_servers(stats)
        except ValueError as error:
            raise ProxyError(f"HAProxy in slot {self.master.slot} was not understood: {error}") from error
        return Process(told, servers, serving=not old and not told.stopping)

    def _cut(self, pid: int, name: str) -> None:
        at = process(pid)
        streams = converse(self.master, [f"{at} show sess"]).splitlines()
        named = [line.partition(":")[0] for line in streams if f" be={self.pool} srv={name} " in line]
        mine = [stream for stream in named if _STREAM.fullmatch(stream)]
        if mine:
            converse(self.master, [f"{at} shutdown session {stream}" for stream in mine])

    def _ask(self, commands: Sequence[str]) -> tuple[str, ...]:
        return ask(self.master, [f"{CURRENT} {command}" for command in commands])

    def _expect(self, commands: Sequence[tuple[str, ...]]) -> None:
        """Send commands, each with its success answers."""
        for (command, *good), answer in zip(commands, self._ask([c[0] for c in commands]), strict=True):
            if answer not in good:
                raise ProxyError(
                    f'HAProxy in slot {self.master.slot} answered "{command}" with: {quoted(answer)}'
                )
