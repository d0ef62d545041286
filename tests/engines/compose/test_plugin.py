"""Compose is called as `docker compose` calls it, and it is the same one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.engines.compose.plugin import MARK, compose_call
from tests.e2e.docker_cli import docker


def _plugin(directory: Path, mode: int = 0o755) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "docker-compose"
    program.touch(mode=mode)
    return str(program)


@pytest.fixture
def system(tmp_path: Path) -> tuple[str, ...]:
    return tuple(str(tmp_path / name) for name in ("first", "second"))


def test_what_a_user_has_goes_before_what_all_have(tmp_path: Path, system: tuple[str, ...]) -> None:
    environ = {"HOME": str(tmp_path)}
    assert compose_call(environ, system) == ([], "docker")
    for place in (Path(system[1]), Path(system[0]), tmp_path / ".docker/cli-plugins"):
        program = _plugin(place)
        assert compose_call(environ, system) == ([MARK], program)


def test_places_that_the_configuration_names_go_first(tmp_path: Path, system: tuple[str, ...]) -> None:
    environ = {"HOME": "/nowhere", "DOCKER_CONFIG": str(tmp_path / "own")}
    own = _plugin(tmp_path / "own/cli-plugins")
    assert compose_call(environ, system) == ([MARK], own)
    named = _plugin(tmp_path / "named")
    said = {"cliPluginsExtraDirs": [str(tmp_path / "empty"), str(tmp_path / "named")]}
    (tmp_path / "own/config.json").write_text(json.dumps(said))
    assert compose_call(environ, system) == ([MARK], named)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cliPluginsExtraDirs": 5}', '{"cliPluginsExtraDirs": [5]}', "\xff"]
)
def test_a_configuration_that_cannot_be_read_names_none(
    tmp_path: Path, system: tuple[str, ...], text: str
) -> None:
    program = _plugin(tmp_path / "cli-plugins")
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    assert compose_call({"DOCKER_CONFIG": str(tmp_path)}, system) == ([MARK], program)


def test_a_file_that_is_no_program_is_passed_over(tmp_path: Path, system: tuple[str, ...]) -> None:
    _plugin(Path(system[0]), 0o644)
    program = _plugin(Path(system[1]))
    assert compose_call({"HOME": str(tmp_path)}, system) == ([MARK], program)


@pytest.mark.docker
def test_it_is_the_one_that_docker_calls() -> None:
    variables, program = compose_call(os.environ)
    assert program != "docker", "docker compose has a plugin that was not found"
    called = subprocess.run(
        ["env", *variables, program, "compose", "version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert called.stdout.strip() == docker("compose", "version")
