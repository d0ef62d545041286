"""The promise, for what runs beside the replicas: databases and jobs change, fail and take long, and no request is lost.

HAProxy holds a request for 3 s at most here. What takes longer must not need that requests are held.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.docker_cli import containers, docker, inspect
from tests.e2e.proof import NEW_VERSION, harsh_stage, runs_version, under_load
from tests.e2e.stage import Stage
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(300)]

PLUGINS: Final = Path(__file__).parent / "plugins"
SHORT_HOLD: Final[dict[str, Any]] = {"proxy": {"holdSeconds": 3}}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Stage]:
    """A web service with a database that holds something and a migration that is done; its plugin may be edited."""
    shutil.copytree(PLUGINS / "archive", tmp_path / "archive")
    with harsh_stage(plugin="archive", replicas=2, **SHORT_HOLD) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(tmp_path)
        with stage.controller():
            stage.converged()
            _sql(stage, "create table books as select 'kept' as title")
            yield stage


def test_a_database_changes_within_the_hold(archive: Stage) -> None:
    (database,), web = archive.replicas("database"), archive.replicas("web")
    with under_load(archive):
        archive.write(env={"VAULT_DB_TUNING": "more"})
        archive.converged()
    assert archive.replicas("database") != [database]
    assert set(archive.replicas("web")) == set(web)
    assert _sql(archive, "select title from books") == "kept"


def test_a_migration_takes_40_seconds(archive: Stage) -> None:
    with under_load(archive) as load:
        archive.write(env={"VAULT_MIGRATE": "sleep 40", **NEW_VERSION["env"]})
        archive.converged()
    assert load.seconds > 40
    assert runs_version(archive)
    (job,) = containers(archive.project, "migrate", everything=True)
    started = inspect(job)["State"]["StartedAt"]
    # Its end is told by an event, and is no death.
    archive.write(replicas=1)
    archive.converged()
    assert inspect(job)["State"]["StartedAt"] == started
    assert "died" not in archive.vaultctl("events", archive.name).stdout


def test_a_migration_that_fails_is_given_up_at_once(archive: Stage) -> None:
    web = set(archive.replicas("web"))
    with under_load(archive):
        archive.write(env={"VAULT_MIGRATE": "echo relation does not exist; exit 7", **NEW_VERSION["env"]})
        applied = archive.apply("--timeout", "50s", code=1)
        until("its container is gone", lambda: not containers(archive.project, "migrate", everything=True))
    assert "JobFailed: job migrate exited with code 7" in applied.stderr
    assert "relation does not exist" in archive.vaultctl("describe", archive.name).stdout
    assert set(archive.replicas("web")) == web
    assert runs_version(archive, "1")


def test_a_database_that_never_turns_healthy_is_given_up(archive: Stage) -> None:
    archive.write(strategy={"progressDeadlineSeconds": 10})
    archive.converged()
    web = set(archive.replicas("web"))
    with under_load(archive):
        archive.write(env={"VAULT_DB_BROKEN": "yes"})
        applied = archive.apply("--timeout", "80s", code=1)
    assert "RolledBack" in applied.stderr
    assert set(archive.replicas("web")) == web
    # The former definition runs again, with its volume.
    assert _sql(archive, "select title from books") == "kept"


def test_a_plugin_that_is_edited_is_noticed_by_a_running_controller(archive: Stage) -> None:
    plugin = Path(archive.env["VAULT_PLUGIN_PATH"]) / "archive" / "plugin.py"
    (database,) = archive.replicas("database")
    plugin.write_text(
        plugin.read_text().replace('"POSTGRES_PASSWORD": "test"', '"POSTGRES_PASSWORD": "next"')
    )
    until("the database is another one", lambda: archive.replicas("database") not in ([], [database]))
    archive.converged()
    environment = inspect(archive.replicas("database")[0])["Config"]["Env"]
    assert "POSTGRES_PASSWORD=next" in environment, json.dumps(environment)


def _sql(stage: Stage, statement: str) -> str:
    (database,) = stage.replicas("database")
    return docker("exec", database, "psql", "-U", "postgres", "-Atc", statement)
