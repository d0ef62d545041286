"""A Compose file and a manifest of five lines: the service comes up behind HAProxy, and follows its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.docker_cli import docker, inspect
from tests.e2e.farm import Farm
from tests.e2e.load import Load, read_ledger
from tests.e2e.proof import runs_version
from tests.e2e.stage import Stage, staged
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

RATE: Final = 60.0
BUILD_SECONDS: Final = 300.0
MANIFEST: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: {name}}}
spec: {{compose: {{file: app/compose.yaml}}, ports: {{http: {port}}}, replicas: 2,
  strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: 100%}}, progressDeadlineSeconds: 60}}}}
"""
COMPOSE: Final = """\
x-common: &common
  image: vault-reconciler/whoami:latest
  init: true
services:
  app:
    <<: *common
    container_name: the-app
    ports: ["${PORT:-8000}:8000"]
    environment: [VERSION, LEDGER=/ledger/requests.log]
    volumes: ["${LEDGER_DIR:?where requests are noted}:/ledger", "./motd.txt:/motd.txt:ro"]
    depends_on:
      store: {condition: service_started}
    healthcheck:
      test: [CMD, curl, -fsS, -o, /dev/null, "http://127.0.0.1:8000/healthz"]
      interval: 5s
      start_period: 30s
      start_interval: 250ms
  store:
    <<: *common
    entrypoint: [sleep, infinity]
    stop_signal: SIGKILL
    healthcheck: {disable: true}
    ports: ["6379:6379"]
    networks: [default]
"""

OF_A_COMMIT: Final = """\
services:
  app:
    image: vault-reconciler/whoami:latest
    init: true
    ports: ["8000"]
    volumes: ["./motd.txt:/etc/motd:ro"]
"""


def test_it_comes_up_and_rolls_when_one_of_its_files_changes() -> None:
    """A changed `.env`, a changed file that is mounted, and a file that is wrong, all under load."""
    with staged() as stage:
        app = stage.manifests / "app"
        app.mkdir()
        variables, mounted, compose = app / ".env", app / "motd.txt", app / "compose.yaml"
        variables.write_text(f"LEDGER_DIR={stage.ledger}\nVERSION=1\n")
        mounted.write_text("one\n")
        compose.write_text(COMPOSE)
        manifest = MANIFEST.format(name=stage.name, port=stage.port)
        assert len(manifest.splitlines()) == 5
        stage.manifest.write_text(manifest)
        assert "app/compose.yaml:8: services.app.ports[0]: 8000 → 8000/tcp moves to HAProxy" in (
            stage.vaultctl("validate", "-f", str(stage.manifest)).stderr
        )
        with stage.controller():
            stage.converged()
            assert len(stage.replicas("app")) == 2
            assert runs_version(stage, "1")
            with _loaded(stage):
                _rolls(stage, variables, f"LEDGER_DIR={stage.ledger}\nVERSION=2\n")
                assert runs_version(stage, "2")
                _rolls(stage, mounted, "two\n")
            good, store = stage.replicas("app"), stage.replicas("store")
            with _loaded(stage):
                compose.write_text(COMPOSE.replace("/healthz", "/nothing"))
                until("it is rolled back", lambda: "RolledBack" in _reasons(stage))
                assert set(stage.replicas("app")) >= set(good)
                compose.write_text(COMPOSE)
                stage.converged()
            assert (set(stage.replicas("app")), stage.replicas("store")) == (set(good), store)
            compose.write_text(COMPOSE.replace("ports: [", "prts: ["))
            until("the file is refused", lambda: "app/compose.yaml:8" in _said(stage))
            assert stage.servers_up() == 2


def test_files_of_a_commit_reach_the_containers() -> None:
    """A push of a file that is mounted is a rollout, and the directory of the commit may go."""
    with staged() as stage:
        farm = Farm.made(stage, compose={"file": "app/compose.yaml"}, replicas=2)
        farm.repository.commit({"apps/app/compose.yaml": OF_A_COMMIT, "apps/app/motd.txt": "one\n"})
        with farm.controller(f"file://{farm.repository.bare}"):
            until("it serves", farm.ready)
            assert _motds(stage) == {"one"}
            with Load(stage.port, RATE) as load:
                farm.repository.commit({"apps/app/motd.txt": "two\n"})
                assert farm.hook() == 202
                until("both have the new file", lambda: _motds(stage) == {"two"} and farm.ready())
            assert load.lost == []


BUILT: Final = """\
services:
  app:
    build: .
    init: true
    ports: ["8000"]
    environment: [LEDGER=/ledger/requests.log]
    volumes: ["${LEDGER_DIR}:/ledger"]
"""
DOCKERFILE: Final = "FROM vault-reconciler/whoami:latest\nENV VERSION={version}\n"


def test_an_image_that_compose_builds_anew_is_rolled_out() -> None:
    """Before it is built for the first time, the controller says by which command; a broken one is rolled back."""
    ids: list[str] = []
    try:
        with staged() as stage:
            _follows_builds(stage, ids)
    finally:
        docker("image", "rm", "--force", *ids, check=False)


def _follows_builds(stage: Stage, ids: list[str]) -> None:
    app = stage.manifests / stage.name
    app.mkdir()
    (app / ".env").write_text(f"LEDGER_DIR={stage.ledger}\n")
    (app / "compose.yaml").write_text(BUILT)
    stage.manifest.write_text(
        MANIFEST.format(name=stage.name, port=stage.port).replace("app/", f"{stage.name}/")
    )

    def build(dockerfile: str) -> None:
        (app / "Dockerfile").write_text(dockerfile)
        docker("compose", "--file", str(app / "compose.yaml"), "build", timeout=BUILD_SECONDS)
        ids.append(docker("image", "inspect", "--format={{.Id}}", f"{stage.name}-app"))

    with stage.controller():
        until("it says what to do", lambda: "run `docker compose build app` in" in _said(stage))
        build(DOCKERFILE.format(version=1))
        until("both replicas are there", lambda: len(stage.replicas("app")) == 2)
        stage.converged()
        assert runs_version(stage, "1")
        with _loaded(stage):
            build(DOCKERFILE.format(version=2))
            until("the new image runs", lambda: _images(stage) == {ids[1]})
            stage.converged()
        assert runs_version(stage, "2")
        with _loaded(stage):
            build('FROM vault-reconciler/whoami:latest\nENTRYPOINT ["false"]\n')
            until("it is rolled back", lambda: "RolledBack" in _reasons(stage))
            until("the former image runs", lambda: _images(stage) == {ids[1]})


def _images(stage: Stage) -> set[str]:
    return {inspect(each)["Image"] for each in stage.replicas("app")}


def _motds(stage: Stage) -> set[str]:
    return {docker("exec", each, "cat", "/etc/motd", check=False) for each in stage.replicas("app")}


@contextmanager
def _loaded(stage: Stage) -> Iterator[None]:
    """Requests from before the block to after it, none of which is lost; how many a second is for other proofs."""
    with Load(stage.port, RATE) as load:
        yield
    faults = load.faults(read_ledger(stage.ledger))
    assert not faults, f"{len(faults)} of {len(load.shots)}:\n" + "\n".join([*faults[:20], stage.story()])
    assert load.shots


def _rolls(stage: Stage, file: Path, text: str) -> None:
    before = stage.replicas("app")
    file.write_text(text)
    until("both replicas are new", lambda: not {*before} & {*stage.replicas("app")})
    stage.converged()
    assert stage.servers_up() == 2
    # A rollout is one to come back to when it is recorded as complete, which is one pass later.
    until("it is complete", lambda: _newest_is_complete(stage))


def _newest_is_complete(stage: Stage) -> bool:
    newest = stage.application.history.newest(stage.name)
    return newest is not None and newest.result == "Complete"


def _reasons(stage: Stage) -> list[str]:
    conditions = stage.application.objects.status(stage.name).conditions
    return [each.reason for each in conditions]


def _said(stage: Stage) -> str:
    conditions = stage.application.objects.status(stage.name).conditions
    return "\n".join(each.message for each in conditions)
