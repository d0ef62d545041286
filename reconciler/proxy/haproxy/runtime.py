"""Commands to one running HAProxy: show its state, add, drain or delete a server, reload.

Every change starts with an observation and is safe to repeat. The answer to every command is compared with the success
answers of HAProxy 3.0; any other answer is an error that quotes it, because stopping a server that is not really drained
loses requests. A stopping worker refuses changes of servers and takes no new connection, so it is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from reconciler.core.assess.observation import Admin, Server
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import MAX_LOG, ProxyError, quoted
from reconciler.proxy.haproxy.files import handed_over
from reconciler.proxy.haproxy.socket import CURRENT, Master, ask, ask_worker, converse, process
from reconciler.proxy.haproxy.stats import Info, Process, old_pids, read_info, read_servers
from reconciler.proxy.haproxy.values import weighed

__all__ = ["Runtime"]

RELOAD_TIMEOUT: Final = 15.0
"""Seconds for a reload: reading the configuration, starting the worker, and its first answer."""

MAX_OLD_WORKERS: Final = 64
"""Maximum number of old workers to observe. The master itself ends those that are more than 50 reloads old."""

MAX_LINE: Final = 8192
"""Characters of the commands in one line: HAProxy takes as many as its buffer has, at least 16 KiB."""

MAX_COMMANDS: Final = 50
"""Commands to a worker over its master in one round trip, all of which have to be answered within its timeout."""

_STREAM: Final = re.compile(r"0x[0-9a-f]{1,16}")
_INFO: Final = "show info"
_DONE: Final = ""
_NO_SERVER: Final = "No such server."
_NO_POOL: Final = "No such proxy."
_NO_TABLE: Final = "No such table"
_ADDED: Final = "New server registered."
_THERE: Final = "Already exists a server with the same name in backend."
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

    def serves(self) -> bool:
        """Whether the current worker answers by itself and takes connections. Its master, over which all else is asked,
        may be stopped, or have too little time on a busy machine.
        """
        try:
            (told,) = ask_worker(self.master, [_INFO])
            return not read_info(told).stopping
        except (ProxyError, ValueError):
            return False

    def add_servers(self, servers: Sequence[NewServer], options: Callable[[str], str]) -> None:
        """Add servers at their addresses and enable them: at once when trusted, else after the first good check. `options`
        gives the keywords of a server by its name: its health check, and what its pool has besides.
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
                commands += self._joining(server, options(server.name), is_there=there is not None)
        self._expect(current, commands)

    def _joining(self, new: NewServer, options: str, *, is_there: bool) -> Iterator[tuple[str, ...]]:
        server = f"{self.pool}/{new.name}"
        if not is_there:
            # It was absent a moment ago: it is there by now if the answer to the first try was lost.
            yield f"add server {server} {new.address} {options}", _ADDED, _THERE
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
        current = self._current()
        there = _changeable(current, [name for name, _ in weights])
        wanted = [(name, weighed(weight)) for name, weight in weights if name in there]
        self._expect(
            current, [(f"set server {self.pool}/{n} weight {w}", _DONE, _NO_SERVER) for n, w in wanted]
        )

    def drain_servers(self, names: Sequence[str]) -> None:
        """Send no new requests to these servers; their sessions end by themselves. An absent server counts as drained.

        Uses maintenance and not HAProxy's drain state: neither affects running requests, but only maintenance resets the
        time of the last change, and deleting a server requires it.
        """
        current = self._current()
        self._expect(current, self._leaving(_changeable(current, names)))

    def restore_servers(self, names: Sequence[str]) -> None:
        """Send new requests to drained servers again. An absent server stays absent."""
        current = self._current()
        there = _changeable(current, names)
        self._expect(
            current, [(f"set server {self.pool}/{name} state ready", _DONE, _NO_SERVER) for name in there]
        )

    def delete_servers(self, names: Sequence[str], *, force: bool) -> None:
        """Delete servers. Without `force` raise ProxyError if one of them has a session; with it, cut their sessions, also
        those in old workers. An absent server counts as deleted.
        """
        if force:
            self._cut_in_old_workers(names)
        current = self._current()
        there = _changeable(current, names)
        commands = [*self._leaving(there)]
        if force:
            cuts = [f"shutdown sessions server {self.pool}/{name}" for name in there]
            commands += [(cut, _DONE, _NO_SERVER) for cut in cuts]
        self._expect(current, commands)
        answers = self._tell(current, [f"del server {self.pool}/{name}" for name in there])
        for name, deleted in zip(there, answers, strict=True):
            if deleted not in (_DELETED, _NO_SERVER):
                self._delete_busy(there[name])

    def _delete_busy(self, server: Server) -> None:
        """Delete a server that still had a session; HAProxy ends one that was cut a moment later."""
        place = f"{self.pool}/{server.name}"
        # The next command interrupts `wait`.
        waited, deleted = self._ask([f"wait 1s srv-removable {place}", f"del server {place}"])
        if deleted not in (_DELETED, _NO_SERVER):
            busy = _by_name(self._current()).get(server.name) or server
            raise ProxyError(
                f"server {server.name} cannot be deleted, it still has {busy.sessions} sessions in HAProxy slot "
                f'{self.master.slot}: "{quoted(waited)}", "{quoted(deleted)}"'
            )

    def reload(self, expected: str, *, every_pool: bool = False) -> None:
        """Start a worker with the written configuration; `expected` is the structure that it has to report.

        Servers that are DOWN or drained keep their state and its time, those of `every_pool` or of this one: by default a
        new worker treats all of them as UP.
        Raises ProxyError with HAProxy's start-up log when it does not start; the old worker then keeps serving.
        """
        # A new pool has no states to pass on; the error answer is not a valid state file either.
        (states,) = self._ask(["show servers state" if every_pool else f"show servers state {self.pool}"])
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
        info, stats = self._ask([_INFO, self._show_servers])
        return self._process(info, stats)

    def _old(self, pid: int) -> Process | None:
        at = process(pid)
        said = converse(self.master, [f"{at} show info", f"{at} {self._show_servers}"])
        info, _, stats = said.partition("\n\n")
        # It may have ended since it was listed; the master then answers with a message instead of a table.
        return self._process(info, stats.rstrip(), old=True) if stats.startswith("#") else None

    def _process(self, info: str, stats: str, *, old: bool = False) -> Process:
        told = self._info(info)
        try:
            # A worker does not know a renamed pool until a reload.
            servers = () if stats == _NO_POOL else read_servers(stats)
        except ValueError as error:
            raise self._not_understood(error) from error
        return Process(told, servers, serving=not old and not told.stopping)

    def _info(self, answer: str) -> Info:
        try:
            return read_info(answer)
        except ValueError as error:
            raise self._not_understood(error) from error

    def _not_understood(self, error: ValueError) -> ProxyError:
        return ProxyError(f"HAProxy in slot {self.master.slot} was not understood: {error}")

    def _leaving(self, names: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """What has these servers get nothing new, and holds a request that would get the last one instead.

        Each thread of HAProxy first looks whether the pool has a server, and then chooses one. If the last one leaves in
        between, the answer is 503. So the pool is marked before, for new requests to be held; and `wait` looks at the
        server while no other thread is at work, so each of them has finished what it began before it saw the mark.
        """
        # A worker that was started by a former version has no such table.
        mark = f"set table closing key {self.pool} data.gpt0"
        for name in names:
            yield f"{mark} 1", _DONE, _NO_TABLE
            # That it is in use, and not removable, is no news.
            yield (f"wait 1 srv-removable {self.pool}/{name}",)
            yield f"set server {self.pool}/{name} state maint", _DONE, _NO_SERVER
            yield f"{mark} 0", _DONE, _NO_TABLE

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
        return ask(self.master, [f"{CURRENT} {command}" for command in commands])

    def _tell(self, worker: Process, commands: Sequence[str]) -> tuple[str, ...]:
        """The answers of this worker, over its own socket where that is possible.

        That may be closed, or taken by others: HAProxy serves ten connections to it at a time, and any number to its
        master.
        """
        answers: list[str] = []
        with suppress(ProxyError):
            for line in _lines(commands):
                told, *said = ask_worker(self.master, [_INFO, *line])
                if self._info(told).pid != worker.info.pid:
                    break
                answers += said
        # Changes are safe to repeat, also where a former worker has taken them.
        rest = commands[len(answers) :]
        for at in range(0, len(rest), MAX_COMMANDS):
            answers += self._ask(rest[at : at + MAX_COMMANDS])
        return tuple(answers)

    def _expect(self, worker: Process, commands: Iterable[tuple[str, ...]]) -> None:
        """Send commands, each with its success answers; one without any may be answered in any way."""
        wanted = list(commands)
        for (command, *good), answer in zip(wanted, self._tell(worker, [c[0] for c in wanted]), strict=True):
            if good and answer not in good:
                raise ProxyError(
                    f'HAProxy in slot {self.master.slot} answered "{command}" with: {quoted(answer)}'
                )


def _changeable(worker: Process, names: Iterable[str]) -> Mapping[str, Server]:
    """Those of these servers that a worker has, by name; none when it is stopping."""
    known = {} if worker.info.stopping else _by_name(worker)
    return {name: known[name] for name in names if name in known}


def _lines(commands: Sequence[str]) -> Iterator[list[str]]:
    """The commands in groups that fit into a line."""
    line: list[str] = []
    length = 0
    for command in commands:
        if line and length + len(command) > MAX_LINE:
            yield line
            line, length = [], 0
        line.append(command)
        length += len(command) + 1
    if line:
        yield line


def _by_name(process: Process) -> Mapping[str, Server]:
    return {server.name: server for server in process.servers}
