"""Containers of a project that is not the controller's, on the real engine: nothing of them is lost."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.api import PermanentError, TemporaryError
from reconciler.core.adoption.record import FormerContainer
from reconciler.core.assess.observation import State
from reconciler.engines.compose.foreign import FILES, ForeignProjects
from tests.e2e.docker_cli import PROJECT, SERVICE, docker, inspect
from tests.e2e.stage import free_port

pytestmark = pytest.mark.docker

IMAGE = "vault-reconciler/whoami:latest"
FILE = "/srv/somewhere/compose.yaml"


@dataclass(frozen=True)
class Box:
    """One running container with a named and an anonymous volume."""

    project: str
    port: int
    id: str
    foreign: ForeignProjects

    @property
    def former(self) -> FormerContainer:
        """It as a record has it."""
        return FormerContainer(self.id, f"{self.project}-box", "box", "on-failure", 3, grace=1.0)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    name, port = f"t-{secrets.token_hex(4)}", free_port()
    marks = [f"--label={PROJECT}={name}", f"--label={SERVICE}=box", f"--label={FILES}={FILE}"]
    places = [f"--volume={name}_named:/named", "--volume=/anonymous", f"--publish=127.0.0.1:{port}:8000"]
    words = [
        "--detach",
        "--restart=on-failure:3",
        "--stop-signal=SIGKILL",
        "--no-healthcheck",
        "--entrypoint=sleep",
        f"--name={name}-box",
    ]
    id = docker("run", *words, *marks, *places, IMAGE, "infinity")
    try:
        with closing(ForeignProjects(os.environ)) as foreign:
            yield Box(name, port, id, foreign)
    finally:
        docker("rm", "--force", "--volumes", id, check=False)
        docker("volume", "rm", f"{name}_named", check=False)


def test_it_is_found_with_all_that_a_plan_needs(box: Box) -> None:
    (found,) = box.foreign.find(box.project).containers
    assert (found.id, found.name, found.service, found.state) == (
        box.id,
        f"{box.project}-box",
        "box",
        State.RUNNING,
    )
    assert (found.files, found.restart, found.retries, found.ports) == (
        (FILE,),
        "on-failure",
        3,
        {8000: box.port},
    )
    volumes = {mount.target: mount.volume for mount in found.mounts}
    assert volumes["/named"] == f"{box.project}_named"
    assert box.project in box.foreign.projects_of(Path(FILE))
    assert box.project not in box.foreign.projects_of(Path("/srv/somewhere/compose.yam"))
    assert box.foreign.find(box.project, ours=True).containers == ()
    assert box.foreign.running(box.project) == (f"{box.project}-box",)
    assert box.foreign.existing("volumes", [volumes["/named"], "t-nothing"]) == {volumes["/named"]}
    assert box.foreign.existing("networks", ["bridge", "t-nothing"]) == {"bridge"}


def test_data_is_measured(box: Box) -> None:
    (found,) = box.foreign.find(box.project).containers
    (anonymous,) = (mount.volume for mount in found.mounts if mount.target == "/anonymous")
    assert box.foreign.sizes([anonymous]) == {anonymous: 0}
    docker("exec", "--user=root", box.id, "sh", "-c", "echo data >/anonymous/file")
    assert box.foreign.sizes([anonymous])[anonymous] > 0
    assert box.foreign.sizes([]) == {}


def test_it_ends_for_good_and_comes_back_as_it_was(box: Box) -> None:
    for _ in range(2):
        box.foreign.end([box.former])
        assert box.foreign.still_running([box.former]) == box.foreign.running(box.project) == ()
        assert inspect(box.id)["HostConfig"]["RestartPolicy"]["Name"] == "no"
    for _ in range(2):
        box.foreign.revive(box.former)
        assert box.foreign.still_running([box.former]) == (f"{box.project}-box",)
        policy = inspect(box.id)["HostConfig"]["RestartPolicy"]
        assert (policy["Name"], policy["MaximumRetryCount"]) == ("on-failure", 3)


def test_one_that_does_not_become_ready_is_named(box: Box) -> None:
    moments = iter(range(0, 100000, 100))
    with closing(
        ForeignProjects(os.environ, clock=lambda: next(moments), sleep=lambda seconds: None)
    ) as foreign:
        docker("pause", box.id)
        try:
            with pytest.raises(
                TemporaryError, match=f"{box.project}-box does not become ready, it is paused after 300 s"
            ):
                foreign.revive(box.former)
        finally:
            docker("unpause", box.id)


def test_a_removed_one_leaves_its_volumes(box: Box) -> None:
    (found,) = box.foreign.find(box.project).containers
    volumes = [mount.volume for mount in found.mounts]
    box.foreign.end([box.former])
    for _ in range(2):
        box.foreign.remove([box.former])
    assert box.foreign.existing("volumes", volumes) == set(volumes)
    with pytest.raises(
        PermanentError, match="is gone; `docker compose up -d --no-deps box` makes another one"
    ):
        box.foreign.revive(box.former)
    for volume in volumes:
        docker("volume", "rm", volume)
