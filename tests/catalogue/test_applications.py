"""Each application of the catalogue on the real engine: it comes up, is used, survives what the product does to it and a
death, is upgraded from an older version under load, and has what was created in it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from tests.catalogue.applications import ROOT, Application, applications
from tests.catalogue.visitor import Visitor
from tests.catalogue.visits import Loss, Visits
from tests.e2e.docker_cli import docker, inspect
from tests.e2e.stage import Stage, staged
from tests.e2e.waiting import until

BUILD_SECONDS: Final = 900
PATIENCE: Final = 400.0
"""Seconds: some applications make their tables for a minute, and other work may share the machine."""
NOTICED_SECONDS: Final = 5.0
"""After a death, until HAProxy or the controller has noticed it on a busy machine."""
PROFILE: Final = "vault.internal/admission"

pytestmark = [pytest.mark.docker, pytest.mark.timeout(BUILD_SECONDS + 4 * PATIENCE)]


@pytest.fixture
def application(request: pytest.FixtureRequest) -> Application:
    """One of them, with both images built."""
    slug = request.param
    words = ["scripts/images", f"catalogue/{slug}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return applications()[slug]


@contextmanager
def deployed(application: Application) -> Iterator[Stage]:
    """The older version, under a controller that goes on running."""
    older, _ = application.versions
    spec: dict[str, Any] = {
        "plugin": application.slug,
        "replicas": application.replicas,
        "images": application.images(older),
        "env": dict(application.settings),
        "proxy": {"holdSeconds": 60},
        "strategy": {"progressDeadlineSeconds": int(PATIENCE)},
    }
    profile = "restricted" if application.restricted else "baseline"
    with staged(annotations={PROFILE: profile}, **spec) as stage, stage.controller():
        stage.converged(PATIENCE)
        yield stage


@pytest.mark.parametrize("application", applications(), indirect=True)
def test_it_keeps_what_is_created_in_it(application: Application) -> None:
    web = (application.upgrade or (application.slug,))[0]
    older, newer = application.versions
    with deployed(application) as stage:
        visitor = Visitor(stage.port)
        visitor.take([*application.prepare, *application.login, *application.create])
        _finds(application, visitor)
        with Visits(stage.port, application.load) as visits:
            _runs(stage, web, application, older)
            stage.write(restartedAt=datetime.now(UTC).isoformat())
            stage.converged(PATIENCE)
            _finds(application, visitor)
            died = _kill_a_replica(stage, web)
            _finds(application, visitor)
            upgraded = time.monotonic()
            stage.write(images=application.images(newer))
            stage.converged(PATIENCE)
            _runs(stage, web, application, newer)
        assert visits.answered
        assert [loss for loss in visits.lost if not _may_be_lost(application, loss, died, upgraded)] == []
        _finds(application, visitor)
        newcomer = Visitor(stage.port, {**visitor.kept})
        newcomer.take(application.login)
        _finds(application, newcomer)


def _finds(application: Application, visitor: Visitor) -> None:
    """More often than there are replicas, so that each one answers."""
    if not application.keeps_sessions:
        visitor.take(application.login)
    for _ in range(2 * application.replicas):
        visitor.take(application.find)


def _may_be_lost(application: Application, loss: Loss, died: float, upgraded: float) -> bool:
    """The death of the only replica costs the requests of that moment; later ones are held, and others repeat a GET."""
    if application.loses_in_upgrade and loss.ended >= upgraded:
        return True
    return application.replicas == 1 and loss.around(died, NOTICED_SECONDS)


def _kill_a_replica(stage: Stage, web: str) -> float:
    """When it was killed, in monotonic seconds; it has been replaced since."""
    before, killed = set(stage.replicas(web)), time.monotonic()
    docker("kill", "--signal=KILL", min(before))
    until("it was replaced", lambda: min(before) not in stage.replicas(web))
    stage.converged(PATIENCE)
    return killed


def _runs(stage: Stage, web: str, application: Application, version: str) -> None:
    """All replicas, and no other version."""
    names = [inspect(each)["Config"]["Image"] for each in stage.replicas(web)]
    assert names == [application.images(version)[web]] * application.replicas
