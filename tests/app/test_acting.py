"""Changes of people who are logged in: proposed without a write, then made where the manifest is, in their name."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import ManifestError, PermanentError, load
from reconciler.app.acting import Editor
from reconciler.app.changes import assign, scale
from reconciler.controller.loop.sync import sync
from reconciler.engines.errors import EngineError
from reconciler.sources.git.address import parse_address
from reconciler.sources.git.command import Credentials, Git
from reconciler.sources.git.source import GitSource
from reconciler.store.base import Origin, StoredObject
from reconciler.wiring import Application, Options, wire
from tests.sources.git_repository import Repository, made_in, sh

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MANIFEST = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec:
  plugin: whoami
  replicas: 2   # tried by the team
  ports: {http: 8120}
"""


@pytest.fixture
def application(state: Path) -> Application:
    made = wire(Options(state_dir=state))

    class Absent:
        def observe(self, stack: object) -> object:
            raise EngineError("the engine does not answer")

    made.__dict__["engine"] = Absent()
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = made_in(tmp_path)
    made.commit({"apps/files.yaml": MANIFEST})
    return made


def followed(application: Application, repository: Repository) -> StoredObject:
    git = Git({"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    address = parse_address(f"file://{repository.bare}", "main", "apps")
    source = GitSource(address, application.options.state_dir, git, interval=60, chance=random.Random(1))
    sync(source.load(), application.objects, source, NOW)
    stored = application.objects.get("files")
    assert stored is not None
    return stored


def editor(application: Application, *, signed: bool = False) -> Editor:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return Editor(application, application.options.state_dir, environ, lambda: NOW, Credentials(), signed)


def test_what_is_followed_in_git_becomes_one_commit_of_the_person(
    application: Application, repository: Repository
) -> None:
    stored, before = followed(application, repository), sh("git", "rev-parse", "main", cwd=repository.bare)
    proposal = editor(application).propose(stored, scale("files", 5))
    assert (
        "-  replicas: 2   # tried by the team\n+  replicas: 5   # tried by the team\n" in proposal.difference
    )
    assert proposal.unseen == "the engine does not answer"
    assert sh("git", "rev-parse", "main", cwd=repository.bare) == before
    done = editor(application).carry_out(stored, scale("files", 5), "anna@example.org")
    said = sh("git", "log", "--format=%an <%ae> %cn: %s", f"{before}..main", cwd=repository.bare)
    assert said == ("anna@example.org <anna@example.org> vault-reconciler: scale(files): replicas 2 -> 5")
    assert (done.commit, done.pushed) == (sh("git", "rev-parse", "main", cwd=repository.bare)[:8], True)
    assert followed(application, repository).resource.spec.replicas == 5


def test_where_only_signed_commits_are_followed_nothing_is_pushed(
    application: Application, repository: Repository
) -> None:
    stored, before = followed(application, repository), sh("git", "rev-parse", "main", cwd=repository.bare)
    for ask in (
        lambda: editor(application, signed=True).propose(stored, scale("files", 5)),
        lambda: editor(application, signed=True).carry_out(stored, scale("files", 5), "anna"),
    ):
        with pytest.raises(PermanentError, match="only signed commits are followed"):
            ask()
    assert sh("git", "rev-parse", "main", cwd=repository.bare) == before
    with pytest.raises(PermanentError, match="which would make it again"):
        editor(application).delete(stored)


def test_no_other_file_of_the_machine_is_named(application: Application, tmp_path: Path) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(MANIFEST.replace("plugin: whoami", "plugin: compose\n  compose: {file: compose.yaml}"))
    (manifest,) = load(path)
    stored = application.objects.apply(manifest.resource, Origin("apply", str(path), path, 1))  # type: ignore[arg-type]
    with pytest.raises(PermanentError, match=r"spec\.compose\.file names a file of the machine"):
        editor(application).propose(stored, assign("files", {"compose.file": "other/compose.yaml"}))
    # With another field it goes on, to the file that is not there.
    with pytest.raises(ManifestError, match=r"compose\.yaml does not exist"):
        editor(application).propose(stored, scale("files", 3))
