"""Rotation by age: regular on average, unpredictable in detail, the same after a restart of the controller."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.assess.age import next_rotation
from reconciler.core.assess.health import Replica
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.rotation import active_due_in, choose_active, due_in
from tests.core.scenes import NOW, read_scene


def pool(lines: list[str], **wish: Any) -> tuple[Stack, tuple[Replica, ...]]:
    named = [f"web-{n} {line}" for n, line in enumerate(lines, 1)]
    rotation = {"rotation": {"interval": "100s", "jitter": "0%"}}
    scene = read_scene(f"about: rotation\nwish: {json.dumps(rotation | wish)}\nweb: {named}")
    return scene.stack, scene.assessment.replicas


def test_it_is_counted_from_the_youngest() -> None:
    stack, replicas = pool(["@1 up age=500", "@1 up age=300", "@1 up age=60"])
    assert due_in(stack, replicas, NOW) == 40.0


@pytest.mark.parametrize(
    ("lines", "wish"),
    [
        (["@1 up", "@1 up", "@1 up"], {"rotation": None}),
        (["@1 up", "@1 up", "@1 up"], {"paused": True}),
        (["@1 up", "@1 up"], {}),
        (["@1 up", "@1 up", "@2 up"], {}),
        (["@1 up", "@1 up", "@1 starting"], {}),
        (["@1 up", "@1 up", "@1 unhealthy up"], {}),
        (["@1 up", "@1 up", "@1 down"], {"plugin": "plain"}),
    ],
)
def test_it_waits_for_everything_else(lines: list[str], wish: dict[str, Any]) -> None:
    assert due_in(*pool(lines, **wish), NOW) is None


def test_the_jitter_has_bounds_and_is_drawn_from_the_container() -> None:
    stack, replicas = pool(["@1 up age=0"], replicas=1)
    assert stack.rotation is not None
    rotation = replace(stack.rotation, jitter=0.2)
    moments = set()
    for number in range(200):
        container = replace(replicas[0].container, id=f"{number:064x}")
        again = [next_rotation([replace(replicas[0], container=container)], rotation) for _ in range(2)]
        assert again[0] == again[1]
        moments.add(again[0] - NOW.timestamp())
    assert len(moments) > 190
    assert 80 <= min(moments) < 90
    assert 110 < max(moments) <= 120


def test_one_at_a_time() -> None:
    stack, replicas = pool(["@1 up since=30", "@1", "@1"], rotation={"interval": "100s", "jitter": "0%"})
    assert stack.rotation is not None
    assert active_due_in(stack.rotation, replicas[0]) == 70.0
    chosen = choose_active(replicas, replicas[0])
    assert chosen in replicas[1:]
    assert choose_active(replicas, replicas[0]) is chosen
    assert choose_active([], None) is None
    assert choose_active([replicas[0]], replicas[0]) is None


@pytest.mark.parametrize("line", ["@2 up", "@1 unhealthy up", "@1 down", "@1"])
def test_an_active_one_that_is_not_fit_is_relieved_at_once(line: str) -> None:
    stack, replicas = pool([line, "@1", "@1"])
    assert stack.rotation is not None
    assert active_due_in(stack.rotation, replicas[0]) == 0.0
