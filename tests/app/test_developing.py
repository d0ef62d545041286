"""An author is told of each finding and each outcome once, and of nothing that is elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import Condition, Status, VaultService
from reconciler.app.developing import Findings, States, plugin_roots, those_of
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from vault_plugins.registry import discover
from vault_plugins.scaffold import scaffold

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "work"
    found.mkdir()
    return found


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore[Any, Any]:
    return ObjectStore(tmp_path / "state")


def put(objects: ObjectStore[Any, Any], manifest: Path, name: str = "mine", **spec: Any) -> None:
    document = {"plugin": "whoami", "ports": {"http": 8080}, **spec}
    service = VaultService.model_validate({"metadata": {"name": name}, "spec": document})
    objects.apply(service, Origin("directory", str(manifest.parent), manifest, 1))


def is_ready(objects: ObjectStore[Any, Any], revision: str, name: str = "mine", **others: str) -> None:
    conditions = tuple(
        Condition(
            type=kind,  # type: ignore[arg-type]
            status=status,  # type: ignore[arg-type]
            reason="Serving" if kind == "Ready" else "RolledBack",
            message="said",
            last_transition_time=NOW,
            observed_generation=9,
        )
        for kind, status in {"Ready": "True", **others}.items()
    )
    objects.put_status(name, Status(observed_generation=9, conditions=conditions, revision=revision))


def test_the_plugin_path_leads_to_plugins_and_to_one(directory: Path) -> None:
    assert plugin_roots(directory) == ()
    scaffold("my-service", directory)
    assert plugin_roots(directory) == (directory,)
    assert plugin_roots(directory / "my_service") == (directory,)


def test_only_what_comes_from_the_directory_is_told_of(
    directory: Path, objects: ObjectStore[Any, Any], tmp_path: Path
) -> None:
    put(objects, directory / "deep" / "mine.yaml")
    put(objects, tmp_path / "other.yaml", "other")
    put(objects, tmp_path / "work-2" / "other.yaml", "another")
    assert [each.name for each in those_of(directory, objects)] == ["mine"]


def test_findings_come_again_after_a_change_and_never_of_packaged_plugins(
    directory: Path, objects: ObjectStore[Any, Any]
) -> None:
    scaffold("my-service", directory)
    findings = Findings(directory, discover([directory]), objects)
    assert list(findings.news()) == ["my-service: nothing to improve"]
    assert list(findings.news()) == []

    plugin = directory / "my_service" / "plugin.py"
    text = plugin.read_text()
    plugin.write_text(text + "\nthis is no Python\n")
    (told,) = findings.news()
    assert str(plugin) in told
    plugin.write_text(text + "\n# mended\n")
    assert list(findings.news()) == ["my-service: nothing to improve"]


def test_an_outcome_is_told_once_for_each_revision(directory: Path, objects: ObjectStore[Any, Any]) -> None:
    put(objects, directory / "mine.yaml")
    states = States(directory, objects)
    assert list(states.news()) == []
    is_ready(objects, "v2-1")
    assert list(states.news()) == ["mine is Ready: http://127.0.0.1:8080/"]
    assert list(states.news()) == []
    # A changed plugin makes another revision of the same spec.
    is_ready(objects, "v2-2")
    assert list(states.news()) == ["mine is Ready: http://127.0.0.1:8080/"]
    is_ready(objects, "v2-2", Ready="False", Stalled="True")
    assert list(states.news()) == ["mine is not Ready: RolledBack: said"]
