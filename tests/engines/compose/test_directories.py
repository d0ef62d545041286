"""Where the engine's own data lies, as admission has to know it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from reconciler.engines.compose.directories import DEFAULTS, directories_of
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.errors import EngineAwayError
from tests.e2e.docker_cli import docker

NOWHERE = Path("/nowhere/config.toml")


@pytest.mark.parametrize(
    ("root", "named"),
    [
        ("/var/lib/docker", DEFAULTS),
        ("/data/docker", ("/data/docker", *DEFAULTS)),
        ("/home/me/.local/share/docker", ("/home/me/.local/share/docker", *DEFAULTS)),
        # With userns-remap: what is beside the part in use is the engine's as well.
        ("/data/docker/100000.100000", ("/data/docker", *DEFAULTS)),
        ("/data/docker/1.2.3", ("/data/docker/1.2.3", *DEFAULTS)),
        ("", DEFAULTS),
        (None, DEFAULTS),
    ],
)
def test_what_the_engine_says_is_its_root(root: str | None, named: tuple[str, ...]) -> None:
    assert directories_of({"DockerRootDir": root}, NOWHERE) == named


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('version = 2\nroot = "/data/containerd"\n', ("/data/containerd",)),
        ('root = "/var/lib/containerd"', ()),
        ('root = "relative"', ()),
        ("root = 5", ()),
        ("[grpc]\nroot = '/not/this'", ()),
        ("no toml at all", ()),
        ("", ()),
    ],
)
def test_what_containerd_is_configured_with(tmp_path: Path, text: str, more: tuple[str, ...]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    assert set(directories_of({}, config)) == {*more, *DEFAULTS}


@pytest.mark.docker
def test_the_real_engine_is_asked_and_not_in_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ComposeEngine()) as engine:
        named = engine.directories()
        assert docker("info", "--format", "{{.DockerRootDir}}") in named
        with monkeypatch.context() as patch:
            patch.setattr(engine, "_api", None)
            assert engine.directories() == named


def test_an_engine_that_is_away_has_no_answer() -> None:
    with closing(ComposeEngine("unix:///nowhere/docker.sock")) as engine, pytest.raises(EngineAwayError):
        engine.directories()
