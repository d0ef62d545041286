"""An author is told of each finding and each outcome once, and of nothing that is elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from reconciler.api import Condition, Manifest, PermanentError, Problem, Status, VaultService
from reconciler.app.developing import Applying, Findings, States, plugin_roots, those_of
from reconciler.sources.base import Loaded
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


class Shelf:
    """A source whose content tests change; a change ends at the last one."""

    kind: Literal["directory", "git"] = "directory"
    place = "/work"

    def __init__(self, *loads: Loaded) -> None:
        self._loads = iter(loads)
        self._changes = len(loads) - 1

    def load(self) -> Loaded:
        return next(self._loads)

    def watch(self, stop: threading.Event) -> Iterator[None]:
        yield from [None] * self._changes


def manifests(*names: str) -> tuple[Manifest, ...]:
    found = []
    for number, name in enumerate(names):
        spec = {"plugin": "whoami", "ports": {"http": 8200 + number}}
        service = VaultService.model_validate({"metadata": {"name": name}, "spec": spec})
        found.append(Manifest(service, Path("/work/all.yaml"), number + 1))
    return tuple(found)


def applied(objects: ObjectStore[Any, Any], *loads: Loaded) -> list[str]:
    told: list[str] = []
    Applying(Shelf(*loads), objects, told.append, lambda: NOW).run(threading.Event())
    return told


def test_a_source_is_applied_and_what_it_no_longer_has_is_deleted(objects: ObjectStore[Any, Any]) -> None:
    put(objects, Path("/elsewhere/other.yaml"), "other")
    loads = [Loaded(manifests("a", "b"), (), True), Loaded(manifests("a"), (), True)]
    assert applied(objects, *loads) == ["a created", "b created", "b deleted"]
    deleted = {name for name in objects.names() if (found := objects.get(name)) and found.deletion}
    assert deleted == {"b"}


def test_what_could_not_be_read_is_not_taken_for_deleted(objects: ObjectStore[Any, Any]) -> None:
    problem = Problem(Path("/work/b.yaml"), 1, 1, "", "is no YAML", "write some")
    for later in (
        Loaded(manifests("a"), (problem,), False),
        Loaded(manifests("a"), (), True, doubts=(problem,)),
    ):
        told = applied(objects, Loaded(manifests("a", "b"), (), True), later)
        assert not any("deleted" in line for line in told)
        stored = objects.get("b")
        assert stored is not None
        assert stored.deletion is None


def test_a_refusal_is_told_with_its_place_and_hides_no_other(
    objects: ObjectStore[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = ObjectStore.apply

    def refuse(self: Any, resource: Any, *args: Any, **options: Any) -> Any:
        if resource.name == "a":
            raise PermanentError("the controller refuses it")
        return apply(self, resource, *args, **options)

    monkeypatch.setattr(ObjectStore, "apply", refuse)
    told = applied(objects, Loaded(manifests("a", "b"), (), True), Loaded((), (), True))
    assert told == ["/work/all.yaml:1: the controller refuses it", "b created", "b deleted"]
