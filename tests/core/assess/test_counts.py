"""What is counted of one look: lines of a scene to numbers that the status, the metrics and the differences share."""

from __future__ import annotations

import json

import pytest

from reconciler.core.assess.counts import Counts
from tests.core.scenes import read_scene

OLD, NEW = "@1 up", "@2 up"


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ([], Counts(3, 0, 0, 0, 0, 0, 0, 0)),
        ([NEW, NEW, NEW], Counts(3, 3, 3, 3, 3, 0, 0, 3)),
        ([OLD, OLD, NEW], Counts(3, 3, 1, 3, 3, 2, 0, 1)),
        # Ready and not in the pool, starting, ill, ended: each is less useful than the one before.
        (["@2", NEW], Counts(3, 2, 2, 2, 1, 0, 0, 2)),
        (["@2 starting age=9", NEW], Counts(3, 2, 2, 1, 1, 0, 0, 2)),
        (["@2 unhealthy up", NEW], Counts(3, 2, 2, 1, 1, 0, 0, 1)),
        (["@2 exited code=1", NEW], Counts(3, 1, 1, 1, 1, 0, 0, 1)),
    ],
)
def test_replicas(lines: list[str], counts: Counts) -> None:
    web = [f"web-{n} {line}" for n, line in enumerate(lines, 1)]
    assessment = read_scene(f"about: counts\nwish: {{version: '2', replicas: 3}}\nweb: {web}").assessment
    assert assessment.counts["web"] == assessment.pool == counts


def test_those_to_be_rotated_stay_usable_until_fresh_ones_are_there() -> None:
    wish = "{replicas: 2, rotated: 2026-05-01 11:59:00}"
    scene = read_scene(f"about: asked\nwish: {wish}\nweb: [web-1 @1 up age=300, web-2 @1 up age=30]")
    assert scene.assessment.pool == Counts(2, 2, 1, 2, 2, 0, 1, 2)


def test_what_no_pool_serves_is_counted_in_the_same_words() -> None:
    scene = read_scene(
        "about: a database\nwish: {plugin: stateful, database: '2'}\ndependencies: [database-1 @db1]\nweb: [web-1 @1 up]"
    )
    assert scene.assessment.counts["database"] == Counts(1, 1, 0, 1, 1, 1, 0, 0)
    assert scene.assessment.counts["gateway"] == Counts(1, 1, 1, 1, 1, 0, 0, 1)


def test_replicas_of_a_service_that_is_gone_count_for_the_pool_only() -> None:
    scene = read_scene("about: gone\nwish: {replicas: 1}\nweb: [web-1 @1 up, former-2 role=web up]")
    assert (scene.assessment.counts["web"].current, scene.assessment.pool.current) == (1, 2)
    assert [container.name for container in scene.assessment.orphans] == ["former-2"]


def test_the_next_rotation_is_that_of_the_youngest_that_lives() -> None:
    wish = "{replicas: 2, rotation: {interval: 60s, jitter: 0%}}"
    scene = read_scene(
        f"about: age\nwish: {wish}\nweb: [web-1 @1 up age=50, web-2 @1 up age=20, web-3 @1 exited age=5]"
    )
    due = scene.assessment.next_rotation
    assert due is not None
    assert due - scene.assessment.now.timestamp() == 40
    assert read_scene("about: none\nweb: [web-1 @1 up]").assessment.next_rotation is None


@pytest.mark.parametrize(
    ("web", "left"),
    [
        (["web-1 @1 up since=20 age=900", "web-2 @1 age=300", "web-3 @1 age=300"], 40),
        (["web-1 @1 up since=70 age=900", "web-2 @1 up since=5 age=300", "web-3 @1 age=300"], 55),
        (["web-1 @1 age=900", "web-2 @1 age=300", "web-3 @1 age=300"], None),
    ],
)
def test_where_one_serves_at_a_time_the_next_rotation_is_the_end_of_its_turn(
    web: list[str], left: float | None
) -> None:
    """Whenever the others were created: they stand by."""
    wish = "{rotation: {interval: 60s, jitter: 0%, mode: single-active}}"
    scene = read_scene(f"about: turns\nwish: {wish}\nweb: {json.dumps(web)}")
    due = scene.assessment.next_rotation
    assert (due and due - scene.assessment.now.timestamp()) == left
