"""Where the image that a policy has chosen is written: in the repository, in a working copy, in a file or in the store."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import PermanentError, VaultError, VaultService
from reconciler.app.writing_images import ImageWriter
from reconciler.controller.loop.sync import sync
from reconciler.sources.base import Source
from reconciler.sources.directory import DirectorySource
from reconciler.sources.git.address import parse_address
from reconciler.sources.git.command import Credentials, Git
from reconciler.sources.git.source import GitSource
from reconciler.store.base import Origin, StoredObject
from reconciler.store.objects import ObjectStore
from tests.sources.git_repository import Repository, made_in, sh

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
IMAGE = "r.test/app:1.5.0@sha256:" + "b" * 64
MANIFEST = """\
# Files of the team.
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:   {name: files}
spec:
        plugin:  whoami
        images:
            whoami:   r.test/app:1.4.0   # tried by the team
"""
CHANGED = MANIFEST.replace("r.test/app:1.4.0", IMAGE)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = made_in(tmp_path)
    made.commit({"apps/files.yaml": MANIFEST})
    made.git("branch", "--quiet", "--set-upstream-to=origin/main")
    return made


@pytest.fixture
def write(objects: ObjectStore, state: Path, tmp_path: Path) -> Callable[..., str]:
    """Writes the image into what the source says."""

    def run(source: Source | None = None, *, pushes: bool = False) -> str:
        if source is not None:
            sync(source.load(), objects, source, NOW)
        # A hook of the user's configuration would run in every repository.
        (tmp_path / "hooks").mkdir(exist_ok=True)
        hook = tmp_path / "hooks/pre-commit"
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
        hook.chmod(0o755)
        (tmp_path / ".gitconfig").write_text(f"[core]\n  hooksPath = {tmp_path}/hooks\n")
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        stored = objects.get("files")
        assert stored is not None
        return ImageWriter(objects, state, environ, pushes, Credentials(), lambda: NOW).write(
            stored, "whoami", IMAGE
        )

    return run


def followed(repository: Repository, state: Path) -> Source:
    git = Git({"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    address = parse_address(f"file://{repository.bare}", "main", "apps")
    return GitSource(address, state, git, interval=60, chance=random.Random(1))


def test_in_a_repository_it_is_a_commit_that_is_pushed_and_then_followed(
    write: Callable[..., str], repository: Repository, state: Path, objects: ObjectStore, tmp_path: Path
) -> None:
    where = write(followed(repository, state), pushes=True)
    commit = sh("git", "rev-parse", "main", cwd=repository.bare)
    assert where == f"commit {commit[:8]} of main"
    assert sh("git", "show", "main:apps/files.yaml", cwd=repository.bare) + "\n" == CHANGED
    said = sh("git", "log", "-1", "--format=%an <%ae>: %s", "main", cwd=repository.bare)
    assert said == (
        f"vault-reconciler <vault-reconciler@localhost>: image(files): whoami r.test/app:1.4.0 -> {IMAGE}"
    )
    # The controller's own clone runs no program of a configuration.
    assert not (tmp_path / "hook-ran").exists()
    # Until the source has fetched, the next check chooses the same: that is no second commit.
    assert write(pushes=True) == ""
    assert sh("git", "rev-parse", "main", cwd=repository.bare) == commit
    source = followed(repository, state)
    sync(source.load(), objects, source, NOW)
    after = objects.get("files")
    assert after is not None
    assert after.resource.spec.images == {"whoami": IMAGE}


def test_a_repository_is_left_alone_unless_it_may_push(
    write: Callable[..., str], repository: Repository, state: Path
) -> None:
    before = sh("git", "rev-parse", "main", cwd=repository.bare)
    with pytest.raises(
        PermanentError, match=r"run it with --push-images, or run: vaultctl set files images\.whoami="
    ):
        write(followed(repository, state))
    assert sh("git", "rev-parse", "main", cwd=repository.bare) == before


def test_a_repository_that_refuses_the_push_is_told(
    write: Callable[..., str], repository: Repository, state: Path
) -> None:
    # Git refuses to move a branch that is checked out.
    sh("git", "config", "core.bare", "false", cwd=repository.bare)
    with pytest.raises(VaultError, match="but not pushed"):
        write(followed(repository, state), pushes=True)


def test_in_a_working_copy_it_is_a_commit_that_is_not_pushed(
    write: Callable[..., str], repository: Repository
) -> None:
    where = write(DirectorySource(repository.work / "apps"))
    assert where.startswith("commit ")
    assert (repository.work / "apps/files.yaml").read_text() == CHANGED
    assert repository.git("log", "-1", "--format=%s").startswith("image(files): whoami")
    assert sh("git", "show", "main:apps/files.yaml", cwd=repository.bare) + "\n" == MANIFEST


def test_in_a_directory_a_line_of_the_file_is_changed(write: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    path = tmp_path / "manifests/files.yaml"
    path.write_text(MANIFEST)
    assert write(DirectorySource(path.parent)) == str(path)
    assert path.read_text() == CHANGED


def test_in_the_store_the_object_is_changed(
    write: Callable[..., str], objects: ObjectStore, make_service: Callable[..., VaultService], origin: Origin
) -> None:
    objects.apply(make_service(), origin)
    assert write() == "the store"
    after: StoredObject | None = objects.get("files")
    assert after is not None
    assert after.resource.spec.images == {"whoami": IMAGE}
