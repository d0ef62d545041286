"""Commands to one running HAProxy: show its state, add, drain or delete a server, reload.

Every change starts with an observation and is safe to repeat. The answer to every command is compared with the success
answers of HAProxy 3.0; any other answer is an error that quotes it, because stopping a server that is not really drained
loses requests. A stopping worker refuses changes of servers and takes no new connection, so it is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.assess.observation import Admin, Server
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import MAX_LOG, ProxyError, quoted
from reconciler.proxy.haproxy.config import weighed
from reconciler.proxy.haproxy.files import handed_over
from reconciler.proxy.haproxy.socket import CURRENT, Master, ask, converse, process
from reconciler.proxy.haproxy.stats import Info, Process, old_pids, read_info, read_servers

__all__ = ["Runtime"]

RELOAD_TIMEOUT: Final = 15.0
"""Seconds for a reload: reading the configuration, starting the worker, and its first answer."""

MAX_OLD_WORKERS: Final = 64
"""Maximum number of old workers to observe. The master itself ends those that are more than 50 reloads old."""

MAX_COMMANDS: Final = 200
"""Commands of one round trip, all of which have to be answered within its timeout. Even, because some come in pairs."""

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

    def add_servers(self, servers: Sequence[NewServer], checks: str) -> None:
        """Add servers at their addresses and enable them: at once when trusted, else after the first good check. `checks`
        are the keywords of their health checks.
        """
        current = self._current()
        if current.info.stopping:
            return
        known = _by_name(current)
        if moved := [s.name for s in servers if s.name in known and known[s.name].address != s.address]:
            self.delete_servers(moved, force=True)
        commands: list[tuple[str, ...]] = []
        for server in servers:
            there = known[server.name] if server.name in known and server.name not in moved else None
            if there is None or there.admin is not Admin.READY:
                commands += self._joining(server, checks, is_there=there is not None)
        self._expect(commands)

    def _joining(self, new: NewServer, checks: str, *, is_there: bool) -> Iterator[tuple[str, ...]]:
        server = f"{self.pool}/{new.name}"
        if not is_there:
            yield f"add server {server} {new.address} {checks}", _ADDED
        yield f"enable health {server}", _DONE
        yield f"set server {server} weight {weighed(new.weight)}", _DONE
        if not new.trusted:
            # A server that leaves maintenance is UP until a check fails. Drained, it gets no request until it
            # has been set DOWN.
            yield f"set server {server} state drain", _DONE
            yield f"set server {server} health down", _DONE
        yield f"set server {server} state ready", _DONE

    def set_weights(self, weights: Sequence[tuple[str, int]]) -> None:
        """Give servers another share of new requests. An absent server has none."""
        here = self._changeable(name for name, _ in weights)
        self._expect(
            [
                (f"set server {self.pool}/{name} weight {weighed(weight)}", _DONE, _NO_SERVER)
                for name, weight in weights
                if name in here
            ]
        )

    def drain_servers(self, names: Sequence[str]) -> None:
        """Send no new requests to these servers; their sessions end by themselves. An absent server counts as drained.

        Uses maintenance and not HAProxy's drain state: neither affects running requests, but only maintenance resets the
        time of the last change, and deleting a server requires it.
        """
        self._maintain(self._changeable(names))

    def delete_servers(self, names: Sequence[str], *, force: bool) -> None:
        """Delete servers. Without `force` raise ProxyError if one of them has a session; with it, cut their sessions, also
        those in old workers. An absent server counts as deleted.
        """
        if force:
            self._cut_in_old_workers(names)
        there = self._changeable(names)
        self._maintain(there)
        if force:
            self._expect(
                [(f"shutdown sessions server {self.pool}/{name}", _DONE, _NO_SERVER) for name in there]
            )
        servers = [f"{self.pool}/{name}" for name in there]
        # The next command interrupts `wait`, during which HAProxy ends the sessions that were cut.
        answers = self._ask(
            [
                command
                for each in servers
                for command in (f"wait 1s srv-removable {each}", f"del server {each}")
            ]
        )
        for name, waited, deleted in zip(there, answers[::2], answers[1::2], strict=True):
            if deleted not in (_DELETED, _NO_SERVER):
                busy = _by_name(self._current()).get(name) or there[name]
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

    def _changeable(self, names: Iterable[str]) -> Mapping[str, Server]:
        """Those of these servers that the current worker has, by name; none when it is stopping."""
        current = self._current()
        known = {} if current.info.stopping else _by_name(current)
        return {name: known[name] for name in names if name in known}

    def _maintain(self, names: Iterable[str]) -> None:
        self._expect([(f"set server {self.pool}/{name} state maint", _DONE, _NO_SERVER) for name in names])

    def _cut_in_old_workers(self, names: Sequence[str]) -> None:
        for worker in self.processes():
            for server in worker.servers if not worker.serving else ():
                if server.sessions and server.name in names:
                    self._cut(worker.info.pid, server.name)

    def _cut(self, pid: int, name: str) -> None:
        at = process(pid)
        streams = converse(self.master, [f"{at} show sess"]).splitlines()
        named = [line.partition(":")[0] for line in streams if f" be={self.pool} srv={name} " in line]
        mine = [stream for stream in named if _STREAM.fullmatch(stream)]
        if mine:
            converse(self.master, [f"{at} shutdown session {stream}" for stream in mine])

    def _ask(self, commands: Sequence[str]) -> tuple[str, ...]:
        """The answers of the current worker, a limited number of them in one round trip."""
        sent = [f"{CURRENT} {command}" for command in commands]
        rounds = (sent[at : at + MAX_COMMANDS] for at in range(0, len(sent), MAX_COMMANDS))
        return tuple(answer for some in rounds for answer in ask(self.master, some))

    def _expect(self, commands: Sequence[tuple[str, ...]]) -> None:
        """Send commands, each with its success answers."""
        for (command, *good), answer in zip(commands, self._ask([c[0] for c in commands]), strict=True):
            if answer not in good:
                raise ProxyError(
                    f'HAProxy in slot {self.master.slot} answered "{command}" with: {quoted(answer)}'
                )


def _by_name(process: Process) -> Mapping[str, Server]:
    return {server.name: server for server in process.servers}
