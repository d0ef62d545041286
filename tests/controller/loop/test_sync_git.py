"""A commit touches what it is about, and what a fetch could not get is told without touching anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from reconciler.api import parse
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.reasons import Reason
from reconciler.controller.loop.sync import ALLOW_PRUNE, Synced, sync
from reconciler.sources.base import Loaded, Setback
from reconciler.store.base import StoredObject
from reconciler.store.objects import ObjectStore

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROOT = Path("/state/git/0/current")
SETBACK = Setback(Reason.FETCH_FAILED, "cannot fetch: it is away; 111 goes on")


@dataclass
class Branch:
    """A source that is loaded by the test itself."""

    place: str = "https://git.example.com/infra#main"
    kind: Literal["directory", "git"] = "git"

    def load(self) -> Loaded:
        raise AssertionError("sync must not load")

    def watch(self, stop: threading.Event) -> Iterator[None]:
        raise AssertionError("sync must not watch")


def at(commit: str, *touched: str, line: int = 1, **specs: str) -> Loaded:
    """What a branch holds at a commit; `specs` are fields of each service."""
    texts = []
    for name, spec in specs.items():
        annotations = f', annotations: {{{ALLOW_PRUNE}: "true"}}' if "PRUNE" in spec else ""
        port = 8000 + sum(name.encode())
        texts.append(
            "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
            f"metadata: {{name: {name}{annotations}}}\n"
            f"spec: {{plugin: whoami, ports: {{http: {port}}}{spec.replace('PRUNE', '')}}}\n"
        )
    manifests = parse("---\n".join(texts), ROOT / "all.yaml") if texts else []
    placed = tuple(replace(each, line=each.line + line - 1) for each in manifests)
    return Loaded(
        placed,
        (),
        complete=True,
        commit=f"main@sha1:{commit}",
        touched=frozenset(Ref(VAULT_SERVICE, name) for name in touched),
    )


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path)


def told(objects: ObjectStore, loaded: Loaded, *, max_prune: int = 1, allow_empty: bool = False) -> Synced:
    return sync(loaded, objects, Branch(), NOW, max_prune=max_prune, allow_empty=allow_empty)


def stored(objects: ObjectStore, name: str) -> StoredObject:
    found = objects.get(name)
    assert found is not None
    return found


def names(done: Synced) -> tuple[str, ...]:
    """The names of what is due."""
    return tuple(ref.name for ref in done.due)


def test_only_what_a_commit_is_about_is_due_and_names_it(objects: ObjectStore) -> None:
    assert names(told(objects, at("1", files="", wiki=""))) == ("files", "wiki")
    assert names(told(objects, at("2", files="", wiki=""))) == ()
    assert names(told(objects, at("3", files="", wiki=", replicas: 3"))) == ("wiki",)
    commits = {name: stored(objects, name).origin.commit for name in ("files", "wiki")}
    assert commits == {"files": "main@sha1:1", "wiki": "main@sha1:3"}


def test_a_settings_file_that_changed_is_about_its_services(objects: ObjectStore) -> None:
    told(objects, at("1", files="", wiki=""))
    assert names(told(objects, at("2", "wiki", files="", wiki=""))) == ("wiki",)
    assert stored(objects, "wiki").origin.commit == "main@sha1:2"
    assert stored(objects, "wiki").resource.metadata.generation == 1


def test_a_source_that_cannot_tell_makes_all_due(objects: ObjectStore) -> None:
    told(objects, at("1", files="", wiki=""))
    assert names(told(objects, replace(at("2", files="", wiki=""), touched=None))) == ("files", "wiki")
    assert stored(objects, "files").origin.commit == "main@sha1:1"


def test_a_manifest_that_only_moved_keeps_its_commit(objects: ObjectStore) -> None:
    told(objects, at("1", files=""))
    assert names(told(objects, at("2", files="", line=5))) == ()
    origin = stored(objects, "files").origin
    assert (origin.commit, origin.line) == ("main@sha1:1", 5)


def test_a_setback_is_told_by_all_and_changes_no_spec(objects: ObjectStore) -> None:
    told(objects, at("1", files="", wiki=""))
    assert names(told(objects, replace(at("1", files="", wiki=""), setback=SETBACK, complete=False))) == (
        "files",
        "wiki",
    )
    found = stored(objects, "files")
    assert (found.problem, found.problem_reason) == (SETBACK.message, "FetchFailed")
    assert (found.resource.metadata.generation, found.origin.commit) == (1, "main@sha1:1")
    assert names(told(objects, at("1", files="", wiki=""))) == ("files", "wiki")
    assert (stored(objects, "files").problem, stored(objects, "files").problem_reason) == (
        "",
        Reason.INVALID_MANIFEST,
    )


@pytest.mark.parametrize(
    ("before", "after", "options", "gone"),
    [
        ({"a": "", "b": "", "c": ""}, {"c": ""}, {}, ()),
        ({"a": "", "b": ""}, {"b": ""}, {}, ("a",)),
        ({"a": "", "b": ""}, {"b": ""}, {"max_prune": 0}, ()),
        ({"a": "", "b": "", "c": ""}, {"c": ""}, {"max_prune": 2}, ("a", "b")),
        ({"a": ""}, {}, {}, ()),
        ({"a": "", "b": ""}, {}, {"max_prune": 5}, ()),
        ({"a": "", "b": ""}, {}, {"allow_empty": True}, ("a", "b")),
        ({"a": "PRUNE", "b": "PRUNE", "c": ""}, {"c": ""}, {"max_prune": 0}, ("a", "b")),
        ({"a": "PRUNE", "b": "", "c": ""}, {"c": ""}, {}, ("a", "b")),
        ({"a": "PRUNE", "b": "", "c": "", "d": ""}, {"d": ""}, {}, ("a",)),
        ({"a": "PRUNE"}, {}, {}, ("a",)),
    ],
)
def test_what_vanishes_is_deleted_only_as_far_as_was_allowed(
    objects: ObjectStore,
    before: dict[str, Any],
    after: dict[str, Any],
    options: dict[str, Any],
    gone: tuple[str, ...],
) -> None:
    told(objects, at("1", **before))
    told(objects, at("2", **after), **options)
    assert tuple(name for name in before if stored(objects, name).deletion) == gone
    for name in before.keys() - after.keys() - set(gone):
        assert "nothing is deleted" in stored(objects, name).problem
        assert ALLOW_PRUNE in stored(objects, name).problem
