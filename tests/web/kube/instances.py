"""Containers that only exist in a list, for an API without an engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from reconciler.api import TemporaryError
from reconciler.core.assess.capabilities import USUAL
from reconciler.core.assess.observation import EngineObservation, Health, State
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.images.reference import Reference
from reconciler.core.plan.draining import Placed
from reconciler.engines.base import EngineInfo
from reconciler.engines.instances import Instance, LogOptions, Usage
from reconciler.engines.nodes import Availability, Drain, Node, SwarmFacts

BORN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def instance(name: str = "vault-files-web-1", **changes: Any) -> Instance:
    """A web replica of `files` that runs."""
    fields: dict[str, Any] = {
        "id": name.encode().hex().ljust(64, "0")[:64],
        "name": name,
        "label": "files",
        "workload": "web",
        "role": Role.WEB,
        "revision": "v2-1",
        "image": "web:1",
        "state": State.RUNNING,
        "health": Health.HEALTHY,
        "created": BORN,
        "started": BORN + timedelta(seconds=1),
        "begun": "2026-05-01T12:00:01.123456789Z",
        "addresses": ("127.0.0.1",),
        "ports": (8000,),
    }
    return Instance(**{**fields, **changes})


class FakeExecution:
    """Repeats its input in upper case, then ends with a code; output first says what was asked for."""

    def __init__(self, words: Sequence[str], stdin: bool, tty: bool) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.closed = threading.Event()
        self._words = words
        self._stdin = stdin
        self._given: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        yield 1, f"{' '.join(self._words)}\n".encode()
        if self._stdin:
            while (data := await self._given.get()) is not None:
                yield 1, data.upper()
        yield 2, b"warning\n"

    async def write(self, data: bytes) -> None:
        await self._given.put(data)

    async def end_input(self) -> None:
        await self._given.put(None)

    async def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def exit_code(self) -> int | None:
        return int(self._words[-1]) if self._words[-1].isdecimal() else 0

    def close(self) -> None:
        self.closed.set()


@dataclass
class FakeInstances:
    """What it tells is what tests put in."""

    found: list[Instance] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    asked: list[LogOptions] = field(default_factory=list)
    executions: list[FakeExecution] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)
    measured: int = 0
    open_logs: int = 0

    def all(self) -> Sequence[Instance]:
        return tuple(self.found)

    def forget(self) -> None:
        """Forget what was asked for."""
        self.asked.clear()
        self.executions.clear()

    def changes(self) -> Iterator[None]:
        while True:
            self.changed.wait()
            self.changed.clear()
            yield

    def machine_usage(self) -> Usage | None:
        return Usage(0.5 * self.measured, 1 << 30, BORN + timedelta(seconds=self.measured))

    def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        self.measured += 1
        one = Usage(0.25 * self.measured, 5 << 20, BORN + timedelta(seconds=self.measured))
        return dict.fromkeys(ids, one)

    async def log(self, instance: Instance, options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        self.open_logs += 1
        try:
            for line in self.lines if options.tail != 0 else ():
                yield line
            if options.follow:
                await asyncio.Event().wait()
        finally:
            self.open_logs -= 1

    async def execute(
        self, instance: Instance, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> FakeExecution:
        self.executions.append(FakeExecution(command, stdin, tty))
        return self.executions[-1]


@dataclass
class FakeEngine:
    """An engine of which only the views are asked."""

    instances: FakeInstances
    nodes: FakeNodes = field(default_factory=lambda: FakeNodes())
    capabilities: ClassVar = USUAL

    def directories(self) -> tuple[str, ...]:
        """Where an engine keeps its data: no container may mount that."""
        return ("/var/lib/docker",)

    def info(self) -> EngineInfo:
        return EngineInfo("Docker", "26.1.5", "Debian GNU/Linux 12", "/", True, 30, {"compose": "2.26.1"})

    def observe(self, stack: Stack) -> EngineObservation:
        raise TemporaryError("the engine of this test has no containers")


class FakeRegistries:
    """Registries that know two tags of every image, and count what they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def tags(self, image: Reference) -> tuple[str, ...]:
        self.asked.append(f"tags {image}")
        return ("1.4.2", "1.5.0")

    def digest(self, image: Reference) -> str:
        self.asked.append(f"digest {image}")
        return f"sha256:{'b' * 64}"

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        return False


def node(name: str = "here", **changes: Any) -> Node:
    """A machine that is up."""
    fields: dict[str, Any] = {
        "id": f"id-{name}",
        "cpus": 2,
        "memory": 4 << 30,
        "kernel": "6.1",
        "system": "Debian GNU/Linux 12",
        "architecture": "x86_64",
        "engine": "26",
        "is_own": True,
    }
    return Node(name=name, **{**fields, **changes})


@dataclass
class FakeNodes:
    """Its nodes are what tests put in, and so are the instances that are `here`; `changed` is what was set."""

    found: list[Node] = field(default_factory=lambda: [node()])
    here: list[Placed] = field(default_factory=list)
    changed: list[tuple[str, Availability, Drain | None]] = field(default_factory=list)
    looks: int = 0

    def all(self) -> Sequence[Node]:
        return tuple(self.found)

    def volumes(self, node: str) -> Sequence[tuple[str, str]]:
        return [("vault-shop_data", "vault-shop")]

    def facts(self) -> SwarmFacts | None:
        return None

    def placed(self) -> Sequence[Placed]:
        self.looks += 1
        return tuple(self.here)

    def change(self, node: str, availability: Availability, drain: Drain | None) -> None:
        self.changed.append((node, availability, drain))
        self.found = [
            replace(each, availability=availability, drain=drain) if each.id == node else each
            for each in self.found
        ]

    def leave(self, node: str) -> bool:
        (found,) = (each for each in self.found if each.id == node)
        if found.is_left:
            self.change(node, Availability.DRAIN, found.drain)
        return found.is_left
