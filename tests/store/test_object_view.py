"""A glance has the same values as the models, and falls back to them for files that it cannot read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import Condition, PermanentError, ReplicaCounts, Status, VaultService
from reconciler.controller.report.verdict import summarize
from reconciler.store.base import Origin
from reconciler.store.object_view import ObjectView, ObjectViews
from reconciler.store.objects import ObjectStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = VaultService.model_validate(
    {"metadata": {"name": "files"}, "spec": {"plugin": "whoami", "ports": {"http": 8081}, "replicas": 3}}
)
STATUS = Status(
    observed_generation=1,
    replicas=ReplicaCounts(desired=3, current=3, updated=3, ready=2, serving=2),
    revision="v1-abc",
    conditions=(
        Condition(
            type="Ready", status="False", reason="Progressing", message="one starts", observed_generation=1
        ),
    ),
)


class Shelf:
    """A state directory with one service, read in both ways."""

    def __init__(self, state: Path) -> None:
        self.models = ObjectStore(state)
        self.models.apply(SERVICE, Origin("git", "a repository", state / "files.yaml", 3, "main@sha1:0123"))
        self.models.put_status("files", STATUS)
        self.asked = 0
        self.object_views = ObjectViews(state, self._ask)

    def _ask(self) -> ObjectStore:
        self.asked += 1
        return self.models


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


FIELDS = (
    "name",
    "generation",
    "problem",
    "problem_reason",
    "deletion",
    "resource.spec.plugin",
    "resource.spec.suspend",
    "resource.spec.ports.http",
    "resource.metadata.generation",
    "resource.is_suspended",
    "ref",
    "origin.kind",
    "origin.line",
    "origin.commit",
)
STATUS_FIELDS = (
    "observed_generation",
    "revision",
    "replicas.serving",
    "replicas.desired",
    "replicas.updated",
)


def field(of: Any, path: str) -> Any:
    for step in path.split("."):
        of = getattr(of, step)
    return of


@pytest.mark.parametrize("path", FIELDS)
def test_an_object_reads_like_its_model(shelf: Shelf, path: str) -> None:
    assert field(shelf.object_views.get("files"), path) == field(shelf.models.get("files"), path)
    assert shelf.asked == 0


@pytest.mark.parametrize("path", STATUS_FIELDS)
def test_a_status_reads_like_its_model(shelf: Shelf, path: str) -> None:
    assert field(shelf.object_views.status("files"), path) == field(shelf.models.status("files"), path)
    assert shelf.asked == 0


@pytest.mark.parametrize("change", ["nothing", "suspended", "problem", "deletion", "ready"])
def test_both_ways_come_to_the_same_summary(shelf: Shelf, change: str) -> None:
    match change:
        case "suspended":
            spec = SERVICE.spec.model_copy(update={"suspend": True})
            shelf.models.apply(
                SERVICE.model_copy(update={"spec": spec}), Origin("apply", "", Path("x.yaml"), 1)
            )
        case "problem":
            shelf.models.mark_problem("files", "files.yaml:3: is wrong")
        case "deletion":
            shelf.models.request_deletion("files", volumes=True, now=NOW)
        case "ready":
            ready = STATUS.conditions[0].model_copy(update={"status": "True"})
            shelf.models.put_status("files", STATUS.model_copy(update={"conditions": (ready,)}))
    summaries = []
    for shown in (shelf.models, shelf.object_views):
        stored = shown.get("files")
        assert stored is not None
        summaries.append(summarize(stored, shown.status("files")))
    assert summaries[0] == summaries[1]
    assert shelf.asked == 0


def test_names_are_those_of_the_store(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "services" / "gone").mkdir()
    assert shelf.object_views.names() == shelf.models.names() == ("files",)


def test_reading_one_lists_no_others(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 300 services looked at 300 × 300 directories before."""
    monkeypatch.setattr("reconciler.store.object_view.names_in", lambda objects: pytest.fail("it lists all"))
    assert shelf.object_views.get("files") is not None
    assert shelf.object_views.status("files").revision == "v1-abc"


@pytest.mark.parametrize("content", ["{", "[]", "null", "{}", '{"service": {"metadata": 1}}', ""])
def test_what_is_damaged_is_left_to_the_models(shelf: Shelf, content: str) -> None:
    (shelf.models.directory("files") / "object.json").write_text(content)
    with pytest.raises(PermanentError, match="cannot be understood"):
        shelf.object_views.get("files")
    (shelf.models.directory("files") / "status.json").write_text(content)
    assert shelf.object_views.status("files") == Status()


def test_a_service_without_a_status_has_an_empty_one(shelf: Shelf) -> None:
    (shelf.models.directory("files") / "status.json").unlink()
    assert shelf.object_views.status("files") == Status()


@pytest.mark.parametrize(
    "name", ["other", "../files", "..", "files/../files", "files/", ".", "", "a" * 300, "files\0"]
)
def test_only_names_of_the_list_are_read(shelf: Shelf, name: str, tmp_path: Path) -> None:
    outside = tmp_path / "files"
    outside.mkdir()
    shutil.copy(shelf.models.directory("files") / "object.json", outside)
    with suppress(PermanentError):
        assert shelf.object_views.get(name) is None


def test_glances_are_the_same_when_the_files_are(shelf: Shelf) -> None:
    before = shelf.object_views.status("files")
    assert shelf.object_views.status("files") == before
    shelf.models.put_status("files", STATUS.model_copy(update={"revision": "v2"}))
    assert shelf.object_views.status("files") != before


def test_a_field_that_is_not_there_is_no_field() -> None:
    with pytest.raises(AttributeError):
        ObjectView({"a": 1}).b  # noqa: B018
    assert ObjectView({}).revision is None


def test_a_look_makes_no_models(shelf: Shelf, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from reconciler.store.object_view import ObjectViews; "
        "from reconciler.controller.report.verdict import summarize; g = ObjectViews(Path(sys.argv[1]), None); "
        "print(summarize(g.get('files'), g.status('files')).reason, 'pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Progressing", "False"]
