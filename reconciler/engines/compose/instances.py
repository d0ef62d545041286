"""Single containers of the engine, as views of what runs need them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from reconciler.core import labels
from reconciler.core.assess.observation import Health, State
from reconciler.engines.compose import events, streams
from reconciler.engines.compose.api import DEFAULT_SOCKET, UNIX, DockerApi
from reconciler.engines.compose.rows import COMPOSE_ONE_OFF, COMPOSE_SERVICE, read_role, read_time
from reconciler.engines.errors import EngineError
from reconciler.engines.instances import Instance, LogOptions, Usage
from reconciler.threads import side_by_side

__all__ = ["ComposeInstances"]

NANO: Final = 1e9
TCP: Final = "tcp://"
_ZERO: Final = "0001-01-01"
_TASK: Final = "com.docker.swarm.task.id"
"""The label of a container of Docker Swarm, which is no instance by itself."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Details of a container that were asked for while its row said this."""

    said: tuple[str, str]
    details: Mapping[str, Any]


class ComposeInstances:
    """The containers of all objects. Threads may share it."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api
        self._known: dict[str, _Known] = {}
        self._stale: set[str] = set()
        self._is_complete = False
        self._lock = threading.Lock()

    def all(self) -> Sequence[Instance]:
        """All of them; only those that have changed are inspected."""
        with self._lock:
            # What is told of from now on is looked at by the next call.
            stale, self._stale = self._stale, set()
            before = {key: one for key, one in self._known.items() if self._is_complete and key not in stale}
            self._is_complete = True
        rows = [row for row in self._api.rows(labels.SERVICE) if _is_one(row)]
        known: dict[str, _Known] = {}
        found = []
        for row in rows:
            said = (str(row.get("State")), str(row.get("Status")).partition("(")[2])
            one = before.get(row["Id"])
            if one is None or one.said != said:
                details = self._api.inspect(row["Id"])
                if details is None:
                    continue
                one = _Known(said, details)
            known[row["Id"]] = one
            found.append(_instance(row, one.details))
        with self._lock:
            self._known = known
        return sorted(found, key=lambda each: each.name)

    def changes(self) -> Iterator[None]:
        """Yields after each event of a container that the engine tells of, and after each gap in its events."""
        for event in events.watch(self._api):
            if isinstance(event, events.Stream):
                with self._lock:
                    self._is_complete = False
                yield
            elif event.get("Type") == "container":
                actor = event.get("Actor") or {}
                if labels.SERVICE in (actor.get("Attributes") or {}):
                    with self._lock:
                        self._stale.add(str(actor.get("ID")))
                    yield

    def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        """Asked side by side: the engine reads the cgroups of one in some milliseconds."""
        answers = side_by_side(self._stats, ids)
        now = datetime.now(UTC)
        return {
            each: usage for each, stats in zip(ids, answers, strict=True) if (usage := _usage(stats, now))
        }

    def machine_usage(self) -> Usage | None:
        """Of this machine, if the engine is here."""
        if not self._api.is_local:
            return None
        import psutil

        times, memory = psutil.cpu_times(), psutil.virtual_memory()
        # `guest` is part of `user`.
        waiting = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return Usage(sum(times) - waiting - guests, memory.total - memory.available, datetime.now(UTC))

    def _stats(self, container: str) -> Mapping[str, Any]:
        query = {"stream": "false", "one-shot": "true"}
        stats = self._api.read(
            "read statistics", "/containers/{}/stats", container, query=query, missing=None
        )
        return stats if isinstance(stats, Mapping) else {}

    async def log(self, instance: Instance, options: LogOptions) -> AsyncIterator[bytes]:
        """The log of one."""
        async for piece in self.lines("/containers/{}/logs", instance.id, options, instance.has_terminal):
            yield piece

    async def lines(
        self, path: str, identifier: str, options: LogOptions, has_terminal: bool
    ) -> AsyncIterator[bytes]:
        """The log at a path of the engine, with a `{}` for the ID of what wrote it."""
        query: dict[str, Any] = {
            "stdout": 1,
            "stderr": 1,
            "follow": int(options.follow),
            "timestamps": int(options.timestamps),
            "tail": "all" if options.tail is None else options.tail,
        }
        query |= {"since": options.since} if options.since else {}
        query |= {"until": options.until} if options.until else {}
        target = f"{path.format(quote(identifier))}?{urlencode(query)}"
        async for piece in streams.log(self._line(), target, has_terminal=has_terminal):
            yield piece

    async def execute(
        self, instance: Instance, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> streams.Command:
        """Start a command in one."""
        return await streams.execute(self._line(), instance.id, command, stdin=stdin, tty=tty)

    def _line(self) -> streams.Line:
        host = self._api.host or UNIX + DEFAULT_SOCKET
        for scheme in (UNIX, TCP):
            if host.startswith(scheme):
                return streams.Line(host.removeprefix(scheme).rstrip("/"))
        raise EngineError(f"logs and commands are not served for an engine at {host.partition(':')[0]}://")


def _is_one(row: Mapping[str, Any]) -> bool:
    marks = row.get("Labels") or {}
    others = {labels.THROWAWAY, _TASK}
    return marks.get(COMPOSE_ONE_OFF) != "True" and others.isdisjoint(marks) and bool(row.get("Names"))


def _instance(row: Mapping[str, Any], details: Mapping[str, Any]) -> Instance:
    try:
        return _read(row, details)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(f"a container of the engine was not understood: {error!r}") from error


def _read(row: Mapping[str, Any], details: Mapping[str, Any]) -> Instance:
    marks = row["Labels"]
    state, host = details["State"], details.get("HostConfig") or {}
    config = details.get("Config") or {}
    attached = (details.get("NetworkSettings") or {}).get("Networks") or {}
    mode = str(host.get("NetworkMode") or "")
    exposed = (str(each).partition("/") for each in config.get("ExposedPorts") or ())
    ports = {int(port) for port, _, protocol in exposed if protocol == "tcp" and port.isdecimal()}
    if (own := marks.get(labels.PORT, "")).isdecimal():
        ports.add(int(own))
    health = (state.get("Health") or {}).get("Status") or "none"
    return Instance(
        id=row["Id"],
        name=str(row["Names"][0]).lstrip("/"),
        label=marks[labels.SERVICE],
        workload=marks.get(COMPOSE_SERVICE, ""),
        role=read_role(marks.get(labels.ROLE)),
        revision=marks.get(labels.REVISION, ""),
        image=str(config.get("Image") or row.get("Image") or ""),
        state=State(state["Status"]),
        health=Health(health) if health in set(Health) else Health.NONE,
        created=datetime.fromtimestamp(row["Created"], UTC),
        started=_moment(state.get("StartedAt")),
        begun=str(state.get("StartedAt") or ""),
        finished=_moment(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        problem=str(state.get("Error") or ""),
        restarts=int(details.get("RestartCount") or 0),
        addresses=tuple(
            str(body["IPAddress"]) for _, body in sorted(attached.items()) if body and body.get("IPAddress")
        ),
        joined=mode.partition(":")[2] if mode.startswith("container:") else "",
        on_host=mode == "host",
        ports=tuple(sorted(ports)),
        cpus=int(host.get("NanoCpus") or 0) / NANO,
        memory=int(host.get("Memory") or 0),
        has_terminal=bool(config.get("Tty")),
    )


def _moment(text: object) -> datetime | None:
    """A time of Docker's; None for its zero."""
    if not isinstance(text, str) or not text or text.startswith(_ZERO):
        return None
    return read_time(text)


def _usage(stats: Mapping[str, Any], now: datetime) -> Usage | None:
    try:
        cpu = int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / NANO
        memory = stats["memory_stats"]
        details = memory.get("stats") or {}
        # As the kubelet counts: without the pages of files that could be dropped at once.
        dropped = details.get("inactive_file", details.get("total_inactive_file", 0))
        used = max(0, int(memory["usage"]) - int(dropped))
    except (LookupError, TypeError, ValueError):
        return None
    return Usage(cpu, used, _moment(stats.get("read")) or now)
