"""Who leaves first, and who may not leave at all; from lines of replicas to the names of those that leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.plan.leaving import leaving
from reconciler.core.plan.strategies import decide
from tests.core.scenes import read_scene

OLD = "@1 up"
NEW = "@2 up age=9"


def who_leaves(lines: list[str], *, can_drain: bool = True, **wish: Any) -> dict[str, str]:
    named = [f"web-{n} {line}" for n, line in enumerate(lines, 1)]
    scene = read_scene(f"about: leaving\nwish: { ({'version': '2'} | wish) }\nweb: {named}")
    assessment = scene.assessment if can_drain else replace(scene.assessment, slots=())
    found = leaving(assessment, decide(assessment))
    return {replica.container.name: cause.value for replica, cause in found.items()}


@pytest.mark.parametrize(
    ("lines", "wish", "names"),
    [
        ([OLD, OLD, OLD], {}, []),
        ([OLD, OLD, OLD, NEW], {}, ["web-1"]),
        ([OLD, OLD, OLD, NEW, NEW], {"surge": 2}, ["web-1", "web-2"]),
        ([OLD, OLD, OLD], {"surge": 0, "unavailable": 1}, ["web-1"]),
        ([OLD, OLD, OLD], {"unavailable": 2}, ["web-1", "web-2"]),
        # Who drains already is counted before anybody else, and who is ill before who is well.
        ([OLD, "@1 drained", OLD, NEW], {}, ["web-2"]),
        ([OLD, "@1 unhealthy up", OLD, NEW], {}, ["web-2"]),
        ([OLD, "@1 unhealthy down", OLD, NEW], {}, ["web-2"]),
        ([OLD, "@1 starting", OLD, OLD], {}, ["web-2"]),
        # One that has crashed may answer again, while a proxy has not found out yet that another one does not.
        (["@1 starting up age=9", OLD, "@1 unhealthy up", OLD], {}, ["web-3"]),
        # One that has to prove itself spares nobody yet.
        ([OLD, OLD, OLD, NEW + " since=2"], {"min_ready": 10}, []),
        # One that is ready and not in the pool serves nothing, unless nobody can tell.
        (["@1", OLD, OLD, NEW], {}, ["web-1"]),
        ([OLD, OLD, OLD, NEW], {"paused": True}, ["web-1"]),
        ([OLD, OLD, OLD], {"plugin": "single"}, ["web-1", "web-2", "web-3"]),
    ],
)
def test_who_leaves(lines: list[str], wish: dict[str, Any], names: list[str]) -> None:
    assert list(who_leaves(lines, **wish)) == names


def test_while_no_proxy_answers_nobody_leaves_who_may_serve() -> None:
    assert who_leaves(["@1", "@1", "@1", "@2"], can_drain=False) == {}


@pytest.mark.parametrize(
    ("lines", "wish", "cause"),
    [
        ([OLD, NEW, NEW, NEW], {}, "outdated"),
        ([NEW, NEW, NEW, NEW], {}, "surplus"),
        ([NEW, NEW, NEW, NEW], {"rotation": {"interval": "1h"}}, "rotation"),
        (["@2 unhealthy down", NEW, NEW, NEW], {}, "unhealthy"),
        (["@2 detached", NEW, NEW, NEW], {}, "detached"),
        (
            ["@2 up age=90", "@2 up age=80"],
            {"surge": 0, "replicas": 2, "rotation": {"interval": "60s"}},
            "rotation",
        ),
    ],
)
def test_everybody_leaves_for_a_cause(lines: list[str], wish: dict[str, Any], cause: str) -> None:
    assert who_leaves(lines, **wish)["web-1"] == cause


def test_a_rotation_that_is_due_waits_while_all_are_on_their_way_out() -> None:
    rotation: dict[str, Any] = {"surge": 0, "replicas": 1, "rotation": {"interval": "60s"}}
    assert who_leaves(["@2 stopping drained age=90"], **rotation) == {}
