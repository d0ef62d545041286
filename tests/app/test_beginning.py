"""First manifests: what follows from a Compose file, and what becomes of each setting of the original."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultError
from reconciler.api.compose_file import ComposeFile
from reconciler.app.beginning import (
    Draft,
    checked,
    draft_of_compose,
    draft_of_variables,
    name_of,
    text_of,
)
from reconciler.core.compose.project import Project


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My App", "my-app"),
        ("app", "app"),
        ("9lives", "app-9lives"),
        ("_x_", "x"),
        ("ÄÖ", "app"),
        ("a" * 50, "a" * 40),
    ],
)
def test_a_name_is_the_nearest_that_is_allowed(text: str, name: str) -> None:
    assert name_of(text) == name


def reader(services: dict[str, Any]) -> Any:
    def read(project: str, compose: ComposeFile, variables: Mapping[str, str], base: Path) -> Project:
        return Project(project, {"services": services}, base, place_of=lambda place: "compose.yaml:3")

    return read


def test_guesses_of_a_compose_file_are_written_down(tmp_path: Path) -> None:
    services = {"app": {"image": "a", "ports": [{"target": 80, "published": "8000"}]}, "db": {"image": "b"}}
    file, manifest = tmp_path / "My Notes" / "compose.yaml", tmp_path / "notes.yaml"
    draft = draft_of_compose(file, manifest, "", reader(services))
    assert draft == Draft(
        "my-notes",
        {"compose": {"file": "My Notes/compose.yaml", "web": "app", "port": 80}, "ports": {"http": 8000}},
    )
    (read,) = checked(text_of(draft, "x.env"), manifest)
    assert read.resource.spec.plugin == "compose"
    assert "env_from" not in read.resource.spec.model_fields_set


def test_a_question_is_asked_with_its_place(tmp_path: Path) -> None:
    services = {name: {"image": "a", "ports": [{"target": 80}]} for name in ("a", "b")}
    with pytest.raises(VaultError, match=r"set spec\.compose\.web to one of: a"):
        draft_of_compose(tmp_path / "compose.yaml", tmp_path / "m.yaml", "", reader(services))


def test_the_manifest_is_beside_or_above_the_compose_file(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="where the manifest goes"):
        draft_of_compose(tmp_path / "compose.yaml", tmp_path / "apps" / "m.yaml", "", reader({}))


ORIGINAL = """
VAULT_SERVICE=filebrowser
VAULT_WEB_REPLICAS=2
VAULT_WEB_PORT=8081
VAULT_HTTP_PORT=8088
VAULT_WEB_HEALTHCHECK_PATH=up
VAULT_HEALTH_PATH=/other
VAULT_WEB_HEALTHCHECK_HOST=localhost
VAULT_ROTATION_INTERVAL=90
VAULT_TIMEZONE=Europe/Paris
VAULT_USER=admin
VAULT_PASS=hunter22
VAULT_CSP_REPORT_MAX_SIZE=4096
VAULT_UNHEARD_OF=1
VAULT_EMPTY=
DOCKER_PROXY_TOKEN=hunter23
FILEBROWSER_VERSION=v2.40.0
FB_PASSWORD='$2a$x'
"""


def test_each_setting_of_the_original_goes_somewhere_or_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(ORIGINAL)
    draft = draft_of_variables(file, "")
    assert (draft.name, draft.spec) == (
        "filebrowser",
        {
            "plugin": "filebrowser",
            "replicas": 2,
            "ports": {"container": 8081, "http": 8088},
            "healthcheck": {"path": "/up", "host": "localhost"},
            "rotation": {"interval": "90s"},
            "env": {"TZ": "Europe/Paris"},
        },
    )
    assert draft.settings == {"FILEBROWSER_IMAGE": "filebrowser/filebrowser:v2.40.0", "FB_PASSWORD": "$2a$x"}
    left_out = [note.partition(" ")[0] for note in draft.notes]
    assert left_out == [
        "VAULT_USER",
        "VAULT_PASS",
        "VAULT_CSP_REPORT_MAX_SIZE",
        "VAULT_UNHEARD_OF",
        "DOCKER_PROXY_TOKEN",
    ]
    assert "hunter" not in "".join(draft.notes)
    (read,) = checked(text_of(draft, "filebrowser.env"), tmp_path / "m.yaml")
    assert read.resource.spec.env_from[0].file == "filebrowser.env"


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("VAULT_WEB_REPLICAS=many", "VAULT_WEB_REPLICAS is left out: 'many' is no number"),
        ("VAULT_ROTATION_INTERVAL=1h", "VAULT_ROTATION_INTERVAL is left out: '1h' is no number of seconds"),
        ("VAULT_ROTATION_INTERVAL=0", "VAULT_ROTATION_INTERVAL is left out"),
    ],
)
def test_what_the_original_would_have_ignored_is_named(tmp_path: Path, line: str, note: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"VAULT_SERVICE=whoami\n{line}\n")
    draft = draft_of_variables(file, "w")
    assert draft.spec == {"plugin": "whoami"}
    assert draft.notes[0].startswith(note)


def test_a_file_without_a_service_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    with pytest.raises(VaultError, match="VAULT_SERVICE is not set"):
        draft_of_variables(tmp_path / ".env", "")
