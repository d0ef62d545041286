"""When a rollout counts as failed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.assess.progress import Failure, judge_progress, look_in
from tests.core.scenes import NOW, read_scene


def failure(
    lines: list[str], began: float | None, *, deaths: list[float] | None = None, **wish: Any
) -> Failure | None:
    named = [f"web-{n} {line}" for n, line in enumerate(lines, 1)]
    scene = read_scene(
        f"about: progress\nwish: { ({'version': '2'} | wish) }\nweb: {named}\ndeaths: {{web: {deaths or []}}}"
    )
    started = None if began is None else NOW - timedelta(seconds=began)
    return judge_progress(scene.assessment, scene.history, started)


@pytest.mark.parametrize(
    ("lines", "began", "reason"),
    [
        (["@1 up", "@1 up", "@1 up"], None, None),
        (["@1 up", "@1 up", "@1 up"], 119, None),
        (["@1 up", "@1 up", "@1 up"], 121, "ProgressDeadlineExceeded"),
        # One that became available moves the deadline, by the time that it did.
        (["@1 up", "@1 up", "@2 up since=100"], 500, None),
        (["@1 up", "@1 up", "@2 up since=121"], 500, "ProgressDeadlineExceeded"),
        (["@1 up", "@1 up", "@2 down since=100"], 500, "ProgressDeadlineExceeded"),
        (["@2 up", "@2 up", "@2 up since=500"], 900, None),
    ],
)
def test_progress(lines: list[str], began: float | None, reason: str | None) -> None:
    found = failure(lines, began)
    assert (found.reason if found else None) == reason


def test_a_rollout_that_somebody_paused_does_not_fail() -> None:
    assert failure(["@1 up"], 900, paused=True) is None


@pytest.mark.parametrize(
    ("deaths", "fails"), [([4, 3, 2, 1], False), ([5, 4, 3, 2, 1], True), ([90, 80, 3, 2, 1], False)]
)
def test_a_crash_loop_does_not_wait_for_the_deadline(deaths: list[float], fails: bool) -> None:
    found = failure(["@1 up", "@1 up", "@2 starting"], 60, deaths=deaths)
    assert (found is not None and found.reason == "CrashLoop") == fails


def test_the_failure_names_somebody_whose_log_may_tell_more() -> None:
    found = failure(["@1 up", "@2 starting", "@2 up since=200"], 300)
    assert found is not None
    assert found.container is not None
    assert found.container.startswith("web-2")
    assert "1 of 3 replicas" in found.message


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("@2 down check=L7STS_401", "HAProxy's check: L7STS 401"),
        ("@2 down check=L4TOUT", "HAProxy's check: L4TOUT"),
        ("@2 exited code=3", "exited with code 3"),
        ("@2 unhealthy", "its health check fails"),
        ("@2 paused", "paused"),
        ("@2 up check=L7OK_200 since=200", None),
    ],
)
def test_the_failure_says_what_was_known(line: str, told: str | None) -> None:
    found = failure(["@1 up", "@1 up", line, line], 300)
    assert found is not None
    assert found.message.count(told or "HAProxy") == (1 if told else 0)


def test_the_failure_says_why_an_image_did_not_come() -> None:
    scene = read_scene(
        "about: progress\nwish: {version: '2'}\nmissing_images: ['web:2']\nweb: [web-1 @1 up]\n"
        "pulls: {'web:2': {running: false, error: connection refused, again: 9}}"
    )
    found = judge_progress(scene.assessment, scene.history, NOW - timedelta(seconds=300))
    assert found is not None
    assert "image web:2 cannot be pulled: connection refused" in found.message


def test_a_crash_loop_says_how_the_last_one_ended() -> None:
    found = failure(["@1 up", "@1 up", "@2 restarting code=3"], 60, deaths=[5, 4, 3, 2, 1])
    assert found is not None
    assert "exited with code 3" in found.message


def test_it_looks_again_when_the_deadline_can_have_passed() -> None:
    scene = read_scene("about: progress")
    assert look_in(scene.stack, None, NOW) is None
    assert look_in(scene.stack, NOW - timedelta(seconds=20), NOW) == 100.0
    assert look_in(scene.stack, NOW - timedelta(seconds=500), NOW) == 1.0


def stateful(dependencies: list[str], began: float, web: str = "up since=300") -> Failure | None:
    scene = read_scene(
        f"about: progress\nwish: {{plugin: stateful, job: '2'}}\ndependencies: {dependencies}\n"
        f"web: [web-1 @1 {web}, web-2 @1 {web}, web-3 @1 {web}]"
    )
    return judge_progress(scene.assessment, scene.history, NOW - timedelta(seconds=began))


DATABASE, JOB, WORKER = "database-1 @db1 healthy", "migrate-1 @job2 exited code=0", "worker-1 @job2"


@pytest.mark.parametrize(
    ("dependencies", "began", "told"),
    [
        ([DATABASE, JOB, WORKER], 500, None),
        (
            ["database-1 @db1 unhealthy", JOB, WORKER],
            121,
            "ProgressDeadlineExceeded: no progress for 120 s: database is not ready (its health check fails)",
        ),
        (["database-1 @db1 unhealthy", JOB, WORKER], 119, None),
        # An end with another code than 0 says it at once; the engine's own retries do not.
        (
            [DATABASE, "migrate-1 @job2 exited code=7", WORKER],
            5,
            "JobFailed: job migrate exited with code 7",
        ),
        ([DATABASE, "migrate-1 @job2 restarting code=7", WORKER], 5, None),
        # One of a former revision says nothing.
        ([DATABASE, "migrate-1 @job1 exited code=7", WORKER], 5, None),
        (
            [DATABASE, JOB],
            500,
            "ProgressDeadlineExceeded: no progress for 120 s: worker is not ready",
        ),
        # What has just turned ready moves the deadline.
        (["database-1 @db1 healthy age=60", JOB], 500, None),
        # What is still to come by a clock that was set back moves nothing.
        (
            ["database-1 @db1 healthy age=-3600", JOB],
            500,
            "ProgressDeadlineExceeded: no progress for 120 s: worker is not ready",
        ),
    ],
)
def test_every_workload_is_judged(dependencies: list[str], began: float, told: str | None) -> None:
    found = stateful(dependencies, began)
    assert (f"{found.reason}: {found.message}" if found else None) == told
