"""Logs of tasks, and changes of tasks."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Mapping
from math import inf
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.engines.errors import EngineError
from reconciler.engines.instances import LogOptions
from reconciler.engines.swarm import logs
from reconciler.engines.swarm.instances import SwarmInstances
from reconciler.engines.swarm.logs import pieces
from reconciler.engines.swarm.watch import (
    HURRIED_SECONDS,
    HURRY_SECONDS,
    LOOK_SECONDS,
    changed,
    pause_after,
    states,
)


def _piece(stream: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b""),
        (_piece(1, b"one\n") + _piece(2, b"two\n"), b"one\ntwo\n"),
        (_piece(1, b"whole\n") + struct.pack(">BxxxL", 1, 100) + b"cut", b"whole\ncut"),
        (b"a terminal has no heads\n", b"a terminal has no heads\n"),
        (b"short", b"short"),
    ],
)
def test_output_has_no_heads(body: bytes, text: bytes) -> None:
    assert pieces(body) == text


def test_former_tasks_of_an_instance_that_is_followed_are_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Swarm keeps the tasks that have failed before, and their output."""
    said = {"old": ["t1 failed"], "new": ["t2 begins", "t3 works"]}
    ended = {"State": "failed", "ContainerStatus": {"ContainerID": "c1"}}
    running = {"State": "running", "ContainerStatus": {"ContainerID": "c2"}}
    tasks = [
        {"ID": "old", "CreatedAt": "2026-01-01T00:00:00Z", "Status": ended},
        {"ID": "new", "CreatedAt": "2026-01-01T00:00:01Z", "Status": running},
    ]

    def content(what: str, path: str, task: str, *, query: Mapping[str, Any], missing: bytes) -> bytes:
        lines = said[task] if query["tail"] == "all" else said[task][-query["tail"] :]
        return "".join(f"2026-01-01T00:00:0{line[1]}.000000000Z {line}\n" for line in lines).encode()

    def passes(seconds: float) -> None:
        if "next" not in said:
            said["next"] = ["t5 begins"]
            said["new"].append("t4 fails")
            tasks[-1] = {**tasks[-1], "Status": {**running, "State": "failed"}}
            tasks.append({"ID": "next", "CreatedAt": "2026-01-01T00:00:05Z", "Status": running})
        else:
            tasks[-1] = {**tasks[-1], "Status": {**running, "State": "failed"}}

    api: Any = SimpleNamespace(tasks=lambda project, service: tasks, docker=SimpleNamespace(content=content))
    monkeypatch.setattr("reconciler.engines.swarm.logs.time.sleep", passes)
    assert list(logs.follow(api, "a" * 25, 1)) == ["t3 works", "t4 fails", "t5 begins"]


class Slow:
    """A Swarm that answers when `released` is set."""

    def __init__(self) -> None:
        self.asked, self.released = threading.Event(), threading.Event()
        self.was_released = False

    def tasks(self, project: str, *services: str) -> list[Mapping[str, Any]]:
        self.asked.set()
        self.was_released = self.released.wait(10)
        return []


@pytest.mark.parametrize("what", ["log", "execute"])
def test_others_are_served_while_the_swarm_is_asked_about_an_instance(what: str) -> None:
    """Logs and commands are served by the event loop that serves all else."""
    slow: Any = Slow()
    instances = SwarmInstances(slow, cast(Any, None), lambda: "n1")
    instance: Any = SimpleNamespace(id="a" * 25, has_terminal=False)

    async def ask() -> None:
        if what == "log":
            assert [piece async for piece in instances.log(instance, LogOptions())] == []
        else:
            with pytest.raises(EngineError, match="it does not run"):
                await instances.execute(instance, ["sh"], stdin=False, tty=False)

    async def serve() -> None:
        asking = asyncio.create_task(ask())
        while not slow.asked.is_set():
            await asyncio.sleep(0.01)
        slow.released.set()
        await asking

    asyncio.run(serve())
    assert slow.was_released


def _task(task: str, state: str, label: str = "shop", node: str = "n1") -> Mapping[str, Any]:
    return {
        "ID": task,
        "NodeID": node,
        "DesiredState": "running",
        "Status": {"State": state},
        "Spec": {"ContainerSpec": {"Labels": {"internal.vault.service": label}}},
    }


def test_a_task_that_changes_is_told_by_the_name_of_its_object() -> None:
    before = states([_task("1", "starting"), _task("2", "running", "wiki"), _task("3", "running", "gone")])
    after = states([_task("1", "running"), _task("2", "running", "wiki"), _task("4", "new", "fresh")])
    assert changed(before, after) == {"shop", "gone", "fresh"}
    assert changed(after, after) == frozenset()


def test_a_task_of_others_has_no_name() -> None:
    assert states([{"ID": "1", "Status": {"State": "running"}, "DesiredState": "running"}]) == {}
    attachment = {"ID": "2", "Status": {"State": "running"}, "DesiredState": "running", "Spec": {}}
    assert states([attachment]) == {}


def test_a_list_without_sense_is_an_error_that_a_look_outlives() -> None:
    damaged = {**_task("1", "running"), "Status": None}
    for rows in ([damaged], [None], None):
        with pytest.raises(EngineError, match="a task of the Swarm was not understood"):
            states(rows)


@pytest.mark.parametrize(
    ("took", "calm", "pause"),
    [
        (0.0, inf, LOOK_SECONDS),
        (0.2, inf, LOOK_SECONDS),
        (3.0, inf, 12.0),
        (0.0, HURRY_SECONDS, LOOK_SECONDS),
        (0.0, HURRY_SECONDS - 1, HURRIED_SECONDS),
        (0.1, 0.0, 0.4),
        (3.0, 0.0, 12.0),
    ],
)
def test_looks_are_hurried_after_a_change_and_take_at_most_a_fifth_of_the_time(
    took: float, calm: float, pause: float
) -> None:
    assert pause_after(took, calm) == pytest.approx(pause)
