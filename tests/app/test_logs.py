"""Logs come of the workload that was asked for, and of containers that are made while they are followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from reconciler.api import VaultError
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
