"""A kind that is a model, a line in the registry and a reconciler is read, stored, listed, described, reconciled and
deleted, beside a VaultService of the same name.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reconciler.api import ManifestError, parse, survey
from reconciler.api.kinds import KINDS, VAULT_SERVICE, Kind, Ref
from reconciler.cli.root import root
from reconciler.cli.session import Session
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.following import SourceOptions
from reconciler.controller.loop.lease import lease
from reconciler.controller.loop.manager import Controller
from reconciler.controller.loop.sync import sync
from reconciler.controller.notify.commit_status import standing
from reconciler.controller.reconcile.world import World
from reconciler.controller.report.journal import Journal
from reconciler.sources.base import Loaded
from reconciler.sources.directory import DirectorySource
from reconciler.store.base import Origin
from reconciler.wiring import Application, Options, wire
from tests.controller.worlds import MemoryWorld
from tests.throwaway import MANIFEST, THROWAWAY, reconciler_of, throwaway

__all__ = ["throwaway"]

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SERVICE = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: NAME}\nspec: {plugin: whoami}\n"
FILES = Ref(THROWAWAY, "files")
PATIENCE = 60.0
NAMES = [name for kind in KINDS.values() for name in (kind.singular, *kind.short_names)]
"""Of all kinds besides."""

pytestmark = pytest.mark.usefixtures("throwaway")


def manifest(name: str, size: int = 1) -> str:
    return MANIFEST.replace("NAME", name).replace("SIZE", str(size))


def service(name: str) -> str:
    return SERVICE.replace("NAME", name)


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return wire(Options(state_dir=tmp_path / "state"))


def world_of(application: Application, memory: MemoryWorld) -> World:
    """A world in memory over the files of a state directory."""
    journal = Journal(application.history, memory.recorder)
    return replace(memory.world, objects=application.objects, records=application.history, journal=journal)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryWorld:
    """Every application has its engine and its proxy."""
    memory = MemoryWorld(real=True)
    monkeypatch.setattr(Application, "world", lambda application: world_of(application, memory))
    return memory


def put(application: Application, text: str, where: Path, place: str = "") -> None:
    for each in parse(text, where):
        objects = application.objects.of(each.resource.of_kind)
        objects.apply(each.resource, Origin("apply", place or str(where), where, each.line))


# Manifests


def test_names_are_unique_within_a_kind() -> None:
    both = parse(f"{service('files')}---\n{manifest('files')}", Path("all.yaml"))
    assert [str(each.resource.ref) for each in both] == ["vaultservice/files", "throwaway/files"]
    with pytest.raises(ManifestError, match=r"files is already defined at all\.yaml:3:18"):
        parse(f"{manifest('files')}---\n{manifest('files')}", Path("all.yaml"))


def test_ports_are_unique_over_all_kinds() -> None:
    text = f"{service('web')}---\n{manifest('web').replace('size: 1', 'port: 8080')}"
    with pytest.raises(ManifestError) as caught:
        parse(text.replace("whoami}", "whoami, ports: {http: 8080}}"), Path("all.yaml"))
    assert str(caught.value.problems[0]) == (
        "all.yaml:9:14: spec.port: 8080 is already used by web at all.yaml:4:38; give each of them a port of its own"
    )


def test_problems_are_those_of_its_own_model() -> None:
    found = survey_of(manifest("files").replace("size: 1", "colour: red"))
    assert "spec.colour: is not a known field; did you mean colors?" in found
    assert "did you mean Throwaway?" in survey_of(manifest("files").replace("Throwaway", "Throwawai"))


def survey_of(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        parse(text, Path("a.yaml"))
    return str(caught.value)


# The store and the history


def test_objects_and_statuses_of_two_kinds_are_apart(application: Application, tmp_path: Path) -> None:
    put(application, f"{service('files')}---\n{manifest('files', 3)}", tmp_path / "all.yaml")
    ours, others = application.objects, application.objects.of(THROWAWAY)
    assert (ours.names(), others.names()) == (("files",), ("files",))
    assert others.directory("files") == tmp_path / "state" / "throwaways" / "files"
    stored = others.get("files")
    assert stored is not None
    assert (stored.ref, stored.resource.spec.size, stored.generation) == (FILES, 3, 1)
    others.put_status("files", others.status("files").model_copy(update={"size": 3}))
    assert others.status("files").size == 3
    assert ours.status("files").replicas.serving == 0
    others.request_deletion("files", volumes=False, now=NOW)
    kept = ours.get("files")
    assert kept is not None
    assert kept.deletion is None
    others.remove("files")
    assert (ours.names(), others.names()) == (("files",), ())


def test_its_files_are_found_from_anywhere(application: Application, tmp_path: Path) -> None:
    text = manifest("files").replace("size: 1", "colors: colors.txt")
    put(application, text, tmp_path / "all.yaml")
    stored = application.objects.of(THROWAWAY).get("files")
    assert stored is not None
    assert stored.resource.spec.colors == str(tmp_path / "colors.txt")


def test_histories_of_two_kinds_are_apart(application: Application) -> None:
    ours, others = application.history, application.history.of(THROWAWAY)
    for records, text in ((ours, "of a service"), (others, "of another")):
        records.record_event("files", "Normal", "Told", text, NOW)
        records.open_revision("files", f"v1-{text}", "{}", "spec", "", NOW)
        records.record_death("files", "web", "v1", NOW, text)
        records.record_completion("files", "job", f"v1-{text}", NOW)
    assert [event.message for event in ours.events("files")] == ["of a service"]
    assert [(event.subject, event.message) for event in others.events("files")] == [
        ("throwaway/files", "of another")
    ]
    assert [event.message for event in others.events()] == ["of a service", "of another"]
    assert [(each.number, each.revision) for each in others.revisions("files")] == [(1, "v1-of another")]
    ours.forget("files")
    assert (ours.events("files"), ours.revisions("files"), ours.completions("files")) == ((), (), {})
    assert [event.message for event in others.events("files")] == ["of another"]
    assert len(others.revisions("files")) == 1
    assert others.completions("files") == {"job": {"v1-of another"}}


# Sources


def test_a_directory_stores_and_prunes_it(application: Application, tmp_path: Path) -> None:
    directory = tmp_path / "manifests"
    directory.mkdir()
    (directory / "all.yaml").write_text(f"{service('files')}---\n{manifest('files')}")
    (directory / "keep.yaml").write_text(manifest("keep"))
    source = DirectorySource(directory)
    done = sync(source.load(), application.objects, source, NOW)
    assert [str(ref) for ref in done.due] == ["throwaway/files", "throwaway/keep", "vaultservice/files"]

    (directory / "all.yaml").write_text(service("files"))
    sync(source.load(), application.objects, source, NOW)
    gone, kept = application.objects.of(THROWAWAY).get("files"), application.objects.get("files")
    assert gone is not None
    assert kept is not None
    assert (gone.deletion is not None, kept.deletion) == (True, None)


def test_its_settings_files_make_only_it_due(application: Application, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"{service('files')}---\n{manifest('files')}")
    source = DirectorySource(path)
    loaded = replace(source.load(), touched=frozenset[Ref]())
    sync(loaded, application.objects, source, NOW)
    assert sync(loaded, application.objects, source, NOW).due == ()
    touched = replace(loaded, touched=frozenset([FILES]))
    assert sync(touched, application.objects, source, NOW).due == (FILES,)


def test_the_status_of_a_commit_waits_for_it(application: Application, tmp_path: Path) -> None:
    (found,) = parse(manifest("files"), tmp_path / "all.yaml")
    loaded = Loaded((found,), (), complete=True, commit="main@sha1:c0ffee")
    told = standing(loaded, "infra", application.objects)
    assert told is not None
    assert (told.state, told.description) == ("pending", "throwaway/files: Pending: is not stored yet")


# The loop


@pytest.fixture
def controller(application: Application, memory: MemoryWorld) -> Iterator[Controller]:
    world = application.world()
    controller = Controller(
        world,
        application.options.state_dir,
        memory.recorder,
        Backoff(random.Random(1)),
        following=SourceOptions(),
        workers=1,
        resync=0.2,
        others=[reconciler_of(application, world)],
    )
    stop = threading.Event()
    thread = threading.Thread(target=controller.run, args=(stop,))
    thread.start()
    yield controller
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def eventually(truth: Any) -> None:
    reached = threading.Event()
    deadline = threading.Timer(PATIENCE, reached.set)
    deadline.start()
    while not truth():
        assert not reached.wait(0.02)
    deadline.cancel()


def test_a_controller_reconciles_it_in_a_queue_of_its_own(
    application: Application, controller: Controller, tmp_path: Path
) -> None:
    others = application.objects.of(THROWAWAY)
    put(application, manifest("files", 3), tmp_path / "all.yaml")
    eventually(lambda: others.status("files").size == 3)
    put(application, manifest("files", 4), tmp_path / "all.yaml")
    eventually(lambda: others.status("files").size == 4)
    assert [queue.name for queue in controller.queues()] == ["vaultservice", "throwaway"]
    assert [each.revision for each in application.history.of(THROWAWAY).revisions("files")] == [
        "v1-3",
        "v1-4",
    ]
    others.request_deletion("files", volumes=False, now=NOW)
    eventually(lambda: others.names() == ())
    # The object goes first, then its history.
    eventually(lambda: application.history.of(THROWAWAY).events("files") == ())


@pytest.mark.usefixtures("controller")
def test_the_lease_of_a_service_of_its_name_does_not_stop_it(
    application: Application, tmp_path: Path
) -> None:
    others = application.objects.of(THROWAWAY)
    with lease(application.options.state_dir / "leases" / "files"):
        put(application, manifest("files", 3), tmp_path / "all.yaml")
        eventually(lambda: others.status("files").size == 3)


# The command line


class Vaultctl:
    """The command line over this state directory."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def __call__(self, *words: str | Path, code: int = 0) -> Result:
        done = CliRunner().invoke(root, [str(word) for word in words], obj=Session(state_dir=self._state))
        assert done.exit_code == code, done.output
        return done


@pytest.fixture
def vaultctl(application: Application) -> Vaultctl:
    return Vaultctl(application.options.state_dir)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "all.yaml"
    path.write_text(manifest("files", 3))
    return path


@pytest.mark.usefixtures("memory")
def test_it_is_applied_listed_described_and_deleted(
    application: Application, vaultctl: Vaultctl, path: Path, tmp_path: Path
) -> None:
    put(application, service("files"), tmp_path / "service.yaml")
    assert vaultctl("diff", "-f", path, code=1).stdout == "throwaway/files: is not stored yet\n"
    assert vaultctl("apply", "-f", path).stdout == (
        "throwaway/files created\nthrowaway/files is Ready: is 3\n"
    )
    assert vaultctl("validate", "-f", path).stdout == f"{path}:1: throwaway/files is valid\n"
    assert vaultctl("diff", "-f", path).stdout == "throwaway/files: nothing differs\n"

    for words in (["throwaways"], ["ta", "files"], ["throwaway/files"], ["throwaways.vault.internal"]):
        headers, row = vaultctl("get", *words).stdout.splitlines()
        assert headers.split() == ["NAME", "SIZE", "READY", "MESSAGE"]
        assert row.split() == ["files", "3", "True", "is", "3"]
    assert vaultctl("get", "ta", "-o", "name").stdout == "throwaway/files\n"
    document = json.loads(vaultctl("get", "ta", "files", "-o", "json").stdout)
    assert (document["kind"], document["spec"]["size"], document["status"]["size"]) == ("Throwaway", 3, 3)
    assert "whoami" in vaultctl("get").stdout
    assert "files" in vaultctl("get", "throwaway/files", "vaultservice/files", "-o", "wide").stdout

    page = vaultctl("describe", "throwaway", "files").stdout
    assert "Kind:        Throwaway" in page
    assert "size: 3" in page
    assert "Resized" in page
    assert "Containers:" not in page
    assert "is 3" in vaultctl("events", "ta", "files").stdout
    assert "throwaway/files" in vaultctl("events").stdout
    assert "Resized" not in vaultctl("events", "files").stdout

    assert "1:" not in vaultctl("set", "throwaway/files", "size=5").stdout
    assert "size: 5" in path.read_text()
    vaultctl("apply", "-f", path)
    path.write_text(manifest("files", 7))
    assert vaultctl("diff", "-f", path, code=1).stdout == "throwaway/files: its spec differs\n  spec.size\n"

    assert vaultctl("delete", "throwaway", "files").stdout == "throwaway/files deleted\n"
    assert application.objects.of(THROWAWAY).names() == ()
    assert application.objects.names() == ("files",)
    assert vaultctl("get", "throwaways").stderr.startswith("there are no throwaways in ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["get", "deployment/files"],
            f"there is no kind 'deployment'; there are: {', '.join(NAMES)}, throwaway, ta",
        ),
        (["describe", "throwawy/files"], "there is no kind 'throwawy'; did you mean 'throwaway'?"),
        (["describe", "throwaway", "files"], "there is no Throwaway 'files'; there are: none"),
        (["delete", "throwaway/files"], "there is no Throwaway 'files'; there are: none"),
        (["logs", "throwaway/files"], "throwaway/files is no VaultService; logs is only for those"),
        (["set", "gatway/files", "size=1"], "there is no kind 'gatway'"),
    ],
)
def test_unknown_kinds_and_names_are_told(vaultctl: Vaultctl, words: list[str], says: str) -> None:
    assert says in vaultctl(*words, code=1).stderr


@pytest.mark.parametrize("verb", ["describe", "events", "delete"])
def test_a_kind_alone_is_no_object(vaultctl: Vaultctl, verb: str) -> None:
    assert "name" in vaultctl(verb, "throwaway", code=2).stderr


def test_a_service_that_is_called_like_a_kind_is_meant(
    application: Application, vaultctl: Vaultctl, tmp_path: Path
) -> None:
    put(application, service("ta"), tmp_path / "ta.yaml")
    assert vaultctl("get", "ta", "-o", "name").stdout == "vaultservice/ta\n"
    assert vaultctl("get", "throwaway/ta", code=1).stderr.startswith("Error: there is no Throwaway 'ta'")


def test_names_are_completed_with_their_kind(
    application: Application, tmp_path: Path, throwaway: Kind
) -> None:
    put(application, f"{service('web')}---\n{manifest('files')}", tmp_path / "all.yaml")
    completed = Completing(application.options.state_dir)
    assert completed("") == ["web", *(kind.plural for kind in KINDS.values())]
    assert completed("throwaway/") == ["throwaway/files"]
    assert completed("f", "ta") == ["files"]


class Completing:
    """What the shell offers for a word of `describe`."""

    def __init__(self, state: Path) -> None:
        self._session = Session(state_dir=state)

    def __call__(self, incomplete: str, *before: str) -> list[str]:
        import click

        from reconciler.cli.names import _complete

        context = click.Context(click.Command("describe"), obj=self._session)
        context.params["names"] = before
        return _complete(context, click.Argument(["names"]), incomplete)


def test_nothing_of_it_is_served_without_its_line(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.undo()
    assert "is not a kind of vault.internal" in str(survey(path).problems[0])
    assert VAULT_SERVICE.directory == "services"
