"""Images of the spec, with a real registry: a digest is pulled and rolled out, a broken one is rolled back, and `vaultctl
images` tells what is behind, what has moved, and what cannot be known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.docker_cli import PROJECT, docker
from tests.e2e.docker_registry import HTPASSWD, PASSWORD, USER, DockerRegistry, docker_registry
from tests.e2e.proof import under_load
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from vault_plugins.whoami.plugin import IMAGE, SERVICE

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(400)]

APP: Final = "images-e2e/app"
COMMENT: Final = "# the one that the team has tried"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    directory = tmp_path / "registry"
    directory.mkdir()
    with docker_registry(directory) as running:
        yield running


def told(stage: Stage) -> dict[str, Any]:
    """What `vaultctl images` says about the web service."""
    lines = json.loads(stage.vaultctl("images", stage.name, "-o", "json").stdout)
    return next(line for line in lines if line["workload"] == SERVICE)


def versions(stage: Stage) -> set[str]:
    """The label `version` of what the replicas run."""
    # Not one by one: a container may go meanwhile.
    rows = docker("ps", f"--filter=label={PROJECT}={stage.project}", '--format={{.Label "version"}}')
    return set(rows.split())


def test_the_image_of_a_workload(harsh: Stage, registry: DockerRegistry) -> None:
    images = {tag: registry.push(IMAGE, APP, tag, f"LABEL version={tag}") for tag in ("1.4.2", "1.5.0")}
    images["1.6.0"] = registry.push(
        IMAGE, APP, "1.6.0", "LABEL version=1.6.0", 'CMD ["false"]', 'ENTRYPOINT ["false"]'
    )
    held = list(images.values())
    try:
        with under_load(harsh):
            harsh.write(images={SERVICE: images["1.4.2"]}, strategy={"progressDeadlineSeconds": 30})
            harsh.converged()
        assert versions(harsh) == {"1.4.2"}
        line = told(harsh)
        assert (line["state"], line["newest"], line["running"], line["image"]) == (
            *("Behind", "1.6.0", 3, images["1.4.2"]),
        )  # fmt: skip

        text = harsh.manifest.read_text()
        harsh.manifest.write_text(text.replace(images["1.4.2"], f"{images['1.4.2']}  {COMMENT}"))
        harsh.vaultctl("set", harsh.name, f"images.{SERVICE}={images['1.5.0']}")
        assert f"{images['1.5.0']}  {COMMENT}\n" in harsh.manifest.read_text()
        harsh.converged()
        assert versions(harsh) == {"1.5.0"}

        # A broken one does not get through, and what ran goes on.
        harsh.vaultctl("set", harsh.name, f"images.{SERVICE}={images['1.6.0']}")
        until("it is rolled back", lambda: _is_rolled_back(harsh))
        until("only what ran before is left", lambda: versions(harsh) == {"1.5.0"})
        harsh.vaultctl("rollout", "undo", harsh.name)
        harsh.converged()
        assert images["1.5.0"] in harsh.manifest.read_text()

        # The same tag with another content: what runs is the digest, and the difference is told.
        ids = set(harsh.replicas())
        held.append(registry.push(IMAGE, APP, "1.5.0", "LABEL version=other"))
        line = told(harsh)
        assert line["state"] == "Moved"
        assert line["digest"] == held[-1].partition("@")[2]
        assert "tag 1.5.0 has moved from" in line["message"]
        assert set(harsh.replicas()) == ids

        registry.end()
        line = told(harsh)
        assert line["state"] == "Unknown"
        assert f"{registry.host} cannot be reached" in line["message"]
        assert harsh.get()[0] == 200
    finally:
        _forget(harsh, held)


def _is_rolled_back(stage: Stage) -> bool:
    return "RolledBack" in [each.reason for each in stage.application.objects.status(stage.name).conditions]


def _forget(stage: Stage, images: list[str]) -> None:
    stage.vaultctl("delete", stage.name, code=None)
    for image in images:
        docker("rmi", "--force", image, check=False)


def test_credentials_of_docker_login_are_used_and_never_shown(stage: Stage, tmp_path: Path) -> None:
    directory = tmp_path / "registry"
    directory.mkdir()
    with docker_registry(directory, logins=[HTPASSWD]) as registry:
        stage.env["DOCKER_CONFIG"] = str(tmp_path)
        stage.write(images={SERVICE: f"{registry.host}/{APP}:1.4.2"})
        stage.vaultctl("apply", "-f", str(stage.manifest), "--timeout", "1s", code=None)

        def ask(auths: dict[str, Any]) -> str:
            (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
            done = stage.vaultctl("--debug", "images", stage.name)
            assert PASSWORD not in done.stdout + done.stderr
            return next(line for line in done.stdout.splitlines() if SERVICE in line)

        assert "has none for it" in ask({})
        assert "refuses the credentials of" in ask(
            {registry.host: {"username": USER, "password": f"{PASSWORD}x"}}
        )
        assert f"has no {registry.host}/{APP}:1.4.2" in ask(
            {registry.host: {"username": USER, "password": PASSWORD}}
        )
