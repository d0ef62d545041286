"""A web service and the database behind it: each changes without harm to the other, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.docker_cli import docker
from tests.e2e.proof import LONG_HOLD, NEW_VERSION, harsh_stage, runs_version, under_load
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PLUGINS: Final = Path(__file__).parent / "plugins"


@pytest.fixture
def library() -> Iterator[Stage]:
    """A web service and its database, which already holds something."""
    with harsh_stage(plugin="library", replicas=2, **LONG_HOLD) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        with stage.controller():
            stage.converged()
            _sql(stage, "create table books as select 'kept' as title")
            yield stage


def test_a_web_service_that_changes_leaves_its_database_alone(library: Stage) -> None:
    database = library.replicas("library-db")
    with under_load(library):
        library.write(**NEW_VERSION)
        library.converged()
    assert runs_version(library)
    assert library.replicas("library-db") == database


def test_a_database_changes_while_requests_wait(library: Stage) -> None:
    """A client waits for as long as PostgreSQL takes to end and to start; the web replicas go on running."""
    database, web = library.replicas("library-db"), library.replicas("library-web")
    with under_load(library):
        library.write(env={"VAULT_DB_TUNING": "more"})
        library.converged()
    assert library.replicas("library-db") != database
    assert set(library.replicas("library-web")) == set(web)
    assert _sql(library, "select title from books") == "kept"


def test_what_was_stopped_comes_back_with_its_data(library: Stage) -> None:
    database = library.replicas("library-db")
    library.write(replicas=0)
    library.converged()
    assert library.replicas("library-db") == library.replicas("library-web") == []
    library.write(replicas=2)
    library.converged()
    assert library.replicas("library-db") == database, "the same container, with its volumes"
    assert _sql(library, "select title from books") == "kept"
    events = library.vaultctl("events", library.name).stdout
    assert "ReplicaDied" not in events


def _sql(stage: Stage, statement: str) -> str:
    (database,) = stage.replicas("library-db")
    return docker("exec", database, "psql", "-U", "postgres", "-Atc", statement)
