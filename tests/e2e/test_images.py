"""Images of the spec and policies, with a real registry: a new tag is committed and rolled out, a broken one rolled back,
and `vaultctl images` tells what has moved and what cannot be known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.cosign import Cosign
from tests.e2e.docker_cli import PROJECT, docker
from tests.e2e.docker_registry import HTPASSWD, PASSWORD, USER, DockerRegistry, docker_registry
from tests.e2e.proof import under_load
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.sources.git_repository import PERSON, sh
from vault_plugins.whoami.plugin import IMAGE, SERVICE

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(400)]

APP: Final = "images-e2e/app"
INTERVAL: Final = 10
"""Seconds; the shortest that a policy may have."""
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


def test_a_policy_follows_its_registry(harsh: Stage, registry: DockerRegistry) -> None:
    """A tag becomes a commit and a rollout without a lost request; a broken one is rolled back and not tried again."""
    images = {"1.4.2": registry.push(IMAGE, APP, "1.4.2", "LABEL version=1.4.2")}
    policy = {"workload": SERVICE, "pattern": 'semver ">=1.4 <2"', "interval": f"{INTERVAL}s"}
    try:
        harsh.write(images={SERVICE: images["1.4.2"]}, strategy={"progressDeadlineSeconds": 120})
        text = harsh.manifest.read_text()
        harsh.manifest.write_text(text.replace(images["1.4.2"], f"{images['1.4.2']}  {COMMENT}"))
        harsh.converged()
        assert versions(harsh) == {"1.4.2"}
        assert told(harsh)["state"] == "Current"

        # A person sets a policy, as one sets an image: the comment stays.
        harsh.vaultctl("set", harsh.name, *(f"imagePolicy.{key}={value}" for key, value in policy.items()))
        harsh.env |= {name: value for name, value in PERSON.items() if name.startswith("GIT_")}
        _git(harsh, "init", "--quiet", "--initial-branch=main")
        _git(harsh, "add", harsh.manifest.name)
        _git(harsh, "commit", "--quiet", "--message=First")
        with under_load(harsh):
            images["1.5.0"] = registry.push(IMAGE, APP, "1.5.0", "LABEL version=1.5.0")
            began = time.monotonic()
            until("it is in the manifest", lambda: images["1.5.0"] in harsh.manifest.read_text())
            assert time.monotonic() - began < INTERVAL + 60
            harsh.converged()
        assert versions(harsh) == {"1.5.0"}
        assert f"{images['1.5.0']}  {COMMENT}\n" in harsh.manifest.read_text()
        assert _commits(harsh) == [
            f"image({harsh.name}): {SERVICE} {images['1.4.2']} -> {images['1.5.0']}",
            "First",
        ]

        with under_load(harsh):
            broken = registry.push(IMAGE, APP, "1.6.0", "LABEL version=1.6.0", 'ENTRYPOINT ["false"]')
            images["1.6.0"] = broken
            until(
                "it is rolled back", lambda: broken in harsh.manifest.read_text() and _is_rolled_back(harsh)
            )
            until("only what ran before is left", lambda: versions(harsh) == {"1.5.0"})
            # Also when a person sets the manifest back: only the next version is taken.
            harsh.vaultctl("rollout", "undo", harsh.name)
            # The controller reads the file a moment after it was written.
            left_out = "1.6.0 was rolled back and is not tried again"
            until("it is told what is left out", lambda: left_out in told(harsh)["message"])
            images["1.6.1"] = registry.push(IMAGE, APP, "1.6.1", "LABEL version=1.6.1")
            until("the next one is taken", lambda: images["1.6.1"] in harsh.manifest.read_text())
            harsh.converged()
        assert [subject.count(broken) for subject in _commits(harsh)] == [0, 0, 1, 0, 0]

        # The same tag with another content: what runs is the digest, and the difference is told.
        ids = set(harsh.replicas())
        images["moved"] = registry.push(IMAGE, APP, "1.6.1", "LABEL version=other")
        until("it is told", lambda: "ImageMoved" in harsh.vaultctl("events", harsh.name).stdout)
        line = told(harsh)
        assert (line["state"], line["digest"]) == ("Moved", images["moved"].partition("@")[2])
        assert set(harsh.replicas()) == ids

        registry.end()
        until("it is told", lambda: "ImageCheckFailed" in harsh.vaultctl("events", harsh.name).stdout)
        assert told(harsh)["state"] == "Unknown"
        assert harsh.get()[0] == 200
    finally:
        _forget(harsh, list(images.values()))


def test_a_policy_takes_what_the_real_cosign_has_signed(
    harsh: Stage, registry: DockerRegistry, tmp_path: Path
) -> None:
    """An image without a signature, and with one of another key, is told and not taken until there is the right one."""
    ours, theirs = Cosign.made(tmp_path / "ours"), Cosign.made(tmp_path / "theirs")
    images = [registry.push(IMAGE, APP, "1.4.2", "LABEL version=1.4.2")]
    policy = {
        "workload": SERVICE,
        "pattern": 'semver ">=1.4 <2"',
        "interval": f"{INTERVAL}s",
        "signedBy": [ours.public_key],
    }
    try:
        harsh.write(images={SERVICE: images[0]}, imagePolicy=policy)
        harsh.converged()
        images.append(registry.push(IMAGE, APP, "1.5.0", "LABEL version=1.5.0"))
        theirs.sign(images[1])
        until("it is told", lambda: "ImageNotSigned" in harsh.vaultctl("events", harsh.name).stdout)
        line = told(harsh)
        assert (line["choice"], "1.5.0 is signed with no key of imagePolicy.signedBy" in line["message"]) == (
            None,
            True,
        )
        assert versions(harsh) == {"1.4.2"}
        ours.sign(images[1])
        until("it is in the manifest", lambda: images[1] in harsh.manifest.read_text())
        harsh.converged()
        assert versions(harsh) == {"1.5.0"}
    finally:
        _forget(harsh, images)


def _git(stage: Stage, *words: str) -> str:
    return sh("git", *words, cwd=stage.manifests)


def _commits(stage: Stage) -> list[str]:
    return _git(stage, "log", "--format=%s").splitlines()


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
