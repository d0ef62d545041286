"""A project with PostgreSQL, under load: adopted, rolled, released; and killed at each step of all ways."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import Final

import pytest
import yaml

from tests.e2e.docker_cli import containers, docker
from tests.e2e.load import Load
from tests.e2e.shop import Shop, Writer, shop, timed
from tests.e2e.stage import VERB_SECONDS, free_port
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

RATE: Final = 60.0
PATIENCE: Final = 40.0
"""Longer than HAProxy holds a request. A connection to a container that has ended may never be answered."""
MOST_DEATHS: Final = 60


def test_it_is_adopted_rolled_and_released_without_losing_a_row() -> None:
    """Beside a controller. Requests are lost in the window that the plan names only; then a rollout loses none."""
    with shop() as here:
        stage = here.stage
        stage.manifest.unlink()
        plan = json.loads(here.adopt("-o", "json").stdout)
        away = {step["service"]: step for step in plan["steps"]}
        assert away["migrate"]["text"] == "is done, and is not run again"
        assert away["app"]["refusedSeconds"] > 0
        assert away["db"]["requestsWait"]
        assert plan["volumes"] == [f"{here.project}_data"]
        with stage.controller(), Writer(here) as writer:
            with Load(stage.port, RATE, patience=PATIENCE) as load:
                steps = timed(stage, ("adopt", here.project, "--name", stage.name, "--yes"))
            _lost_only_between(load, steps)
            _rolls(here)
            before = here.rows()
            _released(here, before)
            until("rows are written to the released project", lambda: len(here.rows()) > len(before))
        assert set(writer.confirmed) <= set(here.rows())
        assert writer.crowds == []


def test_clients_that_move_while_both_sides_answer_lose_nothing() -> None:
    """HAProxy has another port; the former containers end when the command is repeated, after the clients have moved."""
    with shop() as here:
        stage, port = here.stage, free_port()
        stage.manifest.unlink()
        with Load(stage.port, RATE, patience=PATIENCE) as before:
            said = here.adopt("--http", str(port), "--beside", "--yes").stderr
            assert f"app answers on port {port} as well" in said
            assert f"continue: vaultctl adopt {here.project} --yes" in said
        former = containers(here.project, "app")
        with Load(port, RATE, patience=PATIENCE) as after:
            here.adopt("--yes")
        assert (before.lost, after.lost) == ([], [])
        assert former
        assert containers(here.project) == []


def _lost_only_between(load: Load, steps: list[tuple[float, str]]) -> None:
    names = [name for _, name in steps]
    begins = names.index("end the former containers: app")
    window = (steps[begins][0], steps[begins + 2][0])
    outside = [str(shot) for shot in load.lost if shot.ended < window[0] or shot.began > window[1]]
    assert outside == [], f"{len(load.lost)} of {len(load.shots)} lost, steps {steps}"
    assert len(load.lost) < len(load.shots)


def _rolls(here: Shop) -> None:
    stage = here.stage
    document = yaml.safe_load(here.manifest.read_text())
    document["spec"] |= {"env": {"APP_VERSION": "2"}, "replicas": 2}
    here.manifest.write_text(yaml.safe_dump(document))
    with Load(stage.port, RATE) as load:
        stage.vaultctl("apply", "-f", str(here.manifest), "--wait")
    assert load.lost == []
    assert b'"version": "2"' in stage.get()[2]


def _released(here: Shop, rows: list[int]) -> None:
    stage, place = here.stage, here.directory / "plain"
    release = ("release", stage.name, "--directory", str(place))
    refused = stage.vaultctl(*release, "--yes", code=1).stderr
    assert f"`vaultctl adopt {here.project} --finish` removes them" in refused
    here.adopt("--finish")
    assert "one of 2 is left" in stage.vaultctl(*release).stdout
    stage.vaultctl(*release, "--yes")
    assert stage.get()[0] == 200
    assert here.rows()[: len(rows)] == rows
    assert (
        docker("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={stage.project}") == ""
    )
    compose = ("compose", "--file", str(place / "compose.yaml"))
    assert "app" in docker(*compose, "ps", "--services")
    # What is still followed somewhere must not start a second database.
    again = stage.vaultctl("apply", "-f", str(here.manifest), code=1).stderr
    assert f"was released to the Compose project {here.project}" in again
    # Its volume is external there, so that this takes no data.
    docker(*compose, "down", "--volumes")
    assert docker("volume", "ls", "--quiet", f"--filter=name={here.project}_data") == f"{here.project}_data"
    docker(*compose, "up", "--detach", "--no-deps", "db", "app")
    until("it answers again", lambda: here.databases() and here.rows()[: len(rows)] == rows)


def test_it_is_killed_at_each_step_there_and_back() -> None:
    """Twice at each: before the step is recorded, and after it. The web service writes, so it is one at a time."""
    with shop(writes=True) as here, Writer(here) as writer:
        project = here.project
        there = _killed_at_each(here, ("adopt", project, "--name", here.stage.name, "--yes"))
        assert there >= 10, "it was killed twice at each step"
        assert here.stage.get()[0] == 200
        assert docker("volume", "inspect", "--format={{.Name}}", f"{project}_uploads") == f"{project}_uploads"
        assert here.adopt().stderr.startswith(f"project {project} is adopted as {here.stage.name}")
        back = _killed_at_each(
            here, ("adopt", project, "--undo", "--yes"), over="was not adopted on this machine"
        )
        assert back >= 2
        assert here.stage.get()[0] == 200
        policies = docker(
            "inspect", "--format={{.HostConfig.RestartPolicy.Name}}", f"{project}-app-1", f"{project}-db-1"
        )
        assert policies.split() == ["always", "unless-stopped"]
        written = len(writer.confirmed)
        until("rows are written again", lambda: len(writer.confirmed) > written)
        writer.__exit__()
        assert set(writer.confirmed) <= set(here.rows())
        assert writer.crowds == [], "there were two databases at once"
        assert (
            docker("ps", "--quiet", f"--filter=label=com.docker.compose.project={here.stage.project}") == ""
        )


def test_a_release_that_is_killed_at_each_step_goes_on() -> None:
    """The project runs on the same volumes in the end, and at no moment were there two databases."""
    with shop(writes=True) as here, Writer(here) as writer:
        here.adopt("--yes")
        here.adopt("--finish")
        release = ("release", here.stage.name, "--directory", str(here.directory / "plain"), "--yes")
        deaths = _killed_at_each(here, release, over=f"was released to project {here.project}")
        assert deaths >= 4, "it was killed twice at each step"
        assert here.stage.get()[0] == 200
        written = len(writer.confirmed)
        until("rows are written to the released project", lambda: len(writer.confirmed) > written)
        writer.__exit__()
        assert set(writer.confirmed) <= set(here.rows())
        assert writer.crowds == [], "there were two databases at once"
        assert (
            docker(
                "ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={here.stage.project}"
            )
            == ""
        )


def _killed_at_each(here: Shop, words: tuple[str, ...], over: str = "is adopted as") -> int:
    """Run a command that is killed at its first step until no step is left; how often it was killed."""
    for death in range(MOST_DEATHS):
        when = ("before", "after")[death % 2]
        command = (
            sys.executable,
            "-m",
            "tests.e2e.mortal_adoption",
            when,
            "--state-dir",
            str(here.stage.state),
            *words,
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=VERB_SECONDS, check=False)
        if done.returncode != -signal.SIGKILL:
            assert over in done.stderr, done.stderr
            return death
    raise AssertionError(f"it does not end: {done.stderr}")


def test_what_cannot_be_adopted_is_refused_with_names() -> None:
    with shop() as here:
        file = here.file
        text = file.read_text()
        file.write_text(text.replace('POSTGRES_PASSWORD: "te$$st"', 'POSTGRES_PASSWORD: "other"'))
        said = here.adopt(code=1).stderr
        assert f"project {here.project} cannot be adopted as it is:" in said
        assert f"{here.project}-db-1: it does not run what " in said
        assert re.search(rf"{re.escape(str(file))}:\d+: services\.db", said)
        file.write_text(text.replace('    volumes: ["data:/var/lib/postgresql/data"]\n', ""))
        compose = ("compose", "--project-name", here.project, "--file", str(file))
        docker(*compose, "up", "--detach", "--no-deps", "db")
        said = here.adopt(code=1).stderr
        assert "/var/lib/postgresql/data is an anonymous volume with data" in said
        assert "app" not in said.partition("cannot be adopted as it is:")[2].replace("--leave", "")
        file.write_text(text)
        docker(*compose, "up", "--detach", "--no-deps", "db")
        docker(*compose, "stop", "app")
        assert f"{here.project}-app-1: it is exited; start it, or remove it" in here.adopt(code=1).stderr
        assert not here.manifest.exists()
        assert not (here.stage.state / "adoptions").exists()
