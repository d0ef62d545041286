"""A state directory of an earlier release, whose records name a rollout by its web workloads alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.api import find_condition
from reconciler.controller.report.journal import Journal
from reconciler.core.desired.stack import Role, Stack
from reconciler.store.history import MIGRATIONS, HistoryStore
from tests.controller.worlds import MemoryWorld
from tests.simulation.services import NAME, Wish

Row = tuple[Stack, Wish, str]


@pytest.fixture
def memory() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def upgraded(memory: MemoryWorld, tmp_path: Path) -> MemoryWorld:
    """A world whose containers carry the labels of the earlier release; its database is made by `former_records`."""
    memory.wish(plugin="stateful", drain=1.0)
    memory.converge()
    for container in memory.machine.containers.values():
        if container.role is Role.JOB:
            container.role = Role.DEPENDENCY
    return memory


def former_records(memory: MemoryWorld, path: Path, rows: list[Row]) -> HistoryStore:
    """Write what the earlier release would have, and go on from it with a new process."""
    with closing(sqlite3.connect(path)) as sql:
        sql.executescript(MIGRATIONS[0] + ";PRAGMA user_version = 1;")
        for number, (stack, wish, result) in enumerate(rows, 1):
            spec = wish.service().spec.model_dump_json(by_alias=True)
            sql.execute(
                "INSERT INTO revisions VALUES (?, ?, ?, ?, 'spec', '', ?, ?, NULL)",
                (NAME, number, *stack.web_revisions, spec, number, result),
            )
        sql.commit()
    history = HistoryStore(path)
    memory.world = replace(memory.world, records=history, journal=Journal(history, memory.recorder))
    return history


def ready(memory: MemoryWorld) -> tuple[str, str]:
    found = find_condition(memory.objects.status(NAME).conditions, "Ready")
    assert found is not None
    return found.status, found.reason


GOOD = Wish("stateful", drain=1.0)


def test_an_upgrade_alone_begins_nothing(upgraded: MemoryWorld, tmp_path: Path) -> None:
    stack = upgraded.build(GOOD.service())
    assert stack.revision not in stack.web_revisions
    history = former_records(upgraded, tmp_path / "history.sqlite3", [(stack, GOOD, "Complete")])
    before = set(upgraded.machine.containers)
    result = upgraded.once()
    assert (result.did, result.converged) == ("", True)
    assert set(upgraded.machine.containers) == before
    assert ready(upgraded) == ("True", "Serving")
    assert [(r.number, r.result, r.covers) for r in history.revisions(NAME)] == [(1, "Complete", "web")]
    # Its job is recognised as done, so that a container that is pruned now is not missed.
    for container in [c for c in upgraded.machine.containers.values() if c.workload == "migrate"]:
        upgraded.machine.remove(container)
    assert upgraded.once().did == ""


def test_what_was_rejected_stays_rejected(upgraded: MemoryWorld, tmp_path: Path) -> None:
    bad = replace(GOOD, version="never-ready")
    rows: list[Row] = [
        (upgraded.build(GOOD.service()), GOOD, "Complete"),
        (upgraded.build(bad.service()), bad, "RolledBack"),
    ]
    history = former_records(upgraded, tmp_path / "history.sqlite3", rows)
    before = set(upgraded.machine.containers)
    upgraded.wish(plugin="stateful", version="never-ready", drain=1.0)
    for _ in range(5):
        upgraded.once()
        upgraded.time += 1
    assert set(upgraded.machine.containers) == before
    assert ready(upgraded) == ("False", "RolledBack")
    assert len(history.revisions(NAME)) == 2


def test_a_change_of_only_the_database_is_a_rollout_after_an_upgrade(
    upgraded: MemoryWorld, tmp_path: Path
) -> None:
    history = former_records(
        upgraded, tmp_path / "history.sqlite3", [(upgraded.build(GOOD.service()), GOOD, "Complete")]
    )
    upgraded.once()
    bad = upgraded.wish(plugin="stateful", database="never-ready", drain=1.0)
    for _ in range(400):
        upgraded.once()
        upgraded.time += 0.5
    newest = history.newest(NAME)
    assert newest is not None
    assert (newest.revision, newest.result, newest.covers) == (bad.revision, "RolledBack", "stack")
    assert ready(upgraded) == ("False", "RolledBack")
    running = {c.workload: c.revision for c in upgraded.machine.containers.values()}
    database = next(w for w in upgraded.build(GOOD.service()).workloads if w.name == "database")
    assert running["database"] == database.revision
