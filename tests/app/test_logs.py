"""Logs come of the workload that was asked for, and of containers that are made while they are followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from reconciler.api import VaultError
from reconciler.app import logs as module
from reconciler.app.logs import containers_of, follow, last, workloads_of
from reconciler.core.assess.observation import Container, EngineObservation, State
from reconciler.core.desired.stack import Stack
from reconciler.engines.base import Engine


@dataclass
class Seen:
    """As much of a container as logs need."""

    name: str
    workload: str = "web"
    state: State = State.RUNNING

    @property
    def id(self) -> str:
        return self.name


@dataclass
class Named:
    """A workload, or what has some."""

    name: str
    workloads: tuple[Named, ...] = ()
    web: tuple[Named, ...] = ()


@dataclass
class Writing:
    """An engine whose containers write two lines and end."""

    containers: list[Seen]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def observe(self, stack: Stack) -> EngineObservation:
        return cast(EngineObservation, self)

    def logs(self, container: str, lines: int) -> str:
        self.asked.append((container, lines))
        return f"{container} 1\n{container} 2\n"

    def follow(self, container: str, lines: int) -> Iterator[str]:
        yield from self.logs(container, lines).splitlines()


STACK = cast(
    Stack, Named("files", workloads=(Named("web"), Named("db"), Named("haproxy")), web=(Named("web"),))
)


def test_the_replicas_are_meant_when_no_workload_is_named() -> None:
    assert workloads_of(STACK, None) == {"web"}
    assert workloads_of(STACK, "db") == {"db"}
    with pytest.raises(VaultError, match="files has no workload 'dbb'; it has: web, db, haproxy"):
        workloads_of(STACK, "dbb")


def test_the_last_lines_come_container_by_container() -> None:
    engine = Writing([Seen("web-2"), Seen("db-1", "db"), Seen("web-1")])
    found = containers_of(STACK, frozenset(["web"]), cast(Engine, engine))
    assert [line for _, line in last(cast(Engine, engine), found, 7)] == [
        "web-1 1", "web-1 2", "web-2 1", "web-2 2",
    ]  # fmt: skip
    assert engine.asked == [("web-1", 7), ("web-2", 7)]


def test_a_container_that_is_new_is_followed_from_its_beginning() -> None:
    engine = Writing([Seen("web-1", state=State.EXITED)])
    looks = iter([engine.containers, [*engine.containers, Seen("web-2", state=State.EXITED)]])
    lines = follow(cast(Engine, engine), lambda: cast("list[Container]", next(looks)), 5)
    assert [next(lines)[1] for _ in range(4)] == ["web-1 1", "web-1 2", "web-2 1", "web-2 2"]
    assert engine.asked == [("web-1", 5), ("web-2", 5)]


@dataclass
class Endless(Writing):
    """An engine whose containers write more than is ever read."""

    written: int = 0
    is_enough: threading.Event = field(default_factory=threading.Event)

    def follow(self, container: str, lines: int) -> Iterator[str]:
        while self.written < 100:
            self.written += 1
            yield f"{container} {self.written}"
        self.is_enough.set()


def test_what_is_not_read_yet_is_not_taken_from_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a pager, or a terminal that is held: the lines would fill the memory."""
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    engine = Endless([Seen("web-1")])
    lines = follow(cast(Engine, engine), lambda: cast("list[Container]", engine.containers), 5)
    assert next(lines)[1] == "web-1 1"
    assert not engine.is_enough.wait(0.3)
    assert engine.written <= 5
    assert [next(lines)[1] for _ in range(99)] == [f"web-1 {number}" for number in range(2, 101)]
