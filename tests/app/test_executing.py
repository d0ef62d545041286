"""A command runs in a container that is fit for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from reconciler.api import VaultError
from reconciler.app.executing import choose
from reconciler.core.assess.observation import EngineObservation, Health, State
from reconciler.core.desired.stack import Stack
from reconciler.engines.base import Engine


@dataclass
class Seen:
    """As much of a container as choosing needs."""

    name: str
    workload: str = "web"
    state: State = State.RUNNING
    health: Health = Health.HEALTHY
    revision: str = "new"
    stopping: bool = False


@dataclass
class Work:
    """A workload."""

    name: str

    def accepts(self, revision: str) -> bool:
        return revision == "new"


@dataclass
class Files:
    """A stack with a database."""

    name: str = "files"
    web: tuple[Work, ...] = (Work("web"),)
    workloads: tuple[Work, ...] = (Work("web"), Work("db"))


@dataclass
class Fixed:
    """An engine with these containers."""

    containers: list[Seen] = field(default_factory=list)

    def observe(self, stack: Stack) -> EngineObservation:
        return cast(EngineObservation, self)


def chosen(wanted: str | None, *containers: Seen) -> str:
    return choose(cast(Stack, Files()), cast(Engine, Fixed([*containers])), wanted).name


OLD, ILL = Seen("web-1", revision="old"), Seen("web-2", health=Health.UNHEALTHY)
GOING, GOOD = Seen("web-3", stopping=True), Seen("web-4")
DB, ENDED = Seen("db-1", "db", health=Health.NONE), Seen("web-5", state=State.EXITED)


def test_a_healthy_replica_of_the_present_revision_comes_first() -> None:
    assert chosen(None, OLD, ILL, GOING, GOOD, DB, Seen("web-6")) == "web-4"
    assert chosen(None, OLD, ILL, GOING, DB) == "web-2"
    assert chosen(None, OLD, GOING) == "web-1"


def test_another_workload_or_one_container_is_named() -> None:
    assert chosen("db", GOOD, DB) == "db-1"
    assert chosen("web", GOOD, DB) == "web-4"
    assert chosen("web-1", OLD, GOOD) == "web-1"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (None, "files has no running container of its web workload; `vaultctl describe files`"),
        ("db", "files has no running container of db"),
        ("web-5", "web-5 does not run"),
        ("cache", "files has no workload 'cache'; it has: web, db"),
    ],
)
def test_what_does_not_run_is_an_error(wanted: str | None, says: str) -> None:
    with pytest.raises(VaultError, match=says):
        chosen(wanted, ENDED)
