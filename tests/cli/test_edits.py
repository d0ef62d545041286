"""A command changes one line where a service is written down, and in Git that is one commit."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import parse
from reconciler.cli.root import run
from reconciler.controller.loop.lease import lease
from reconciler.controller.loop.sync import sync
from reconciler.sources.base import Loaded, Source
from reconciler.sources.directory import DirectorySource
from reconciler.sources.git.address import parse_address
from reconciler.sources.git.command import Git
from reconciler.sources.git.source import GitSource
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.sources.git_repository import PERSON, Repository, made_in, sh
from tests.stored import service_of

MANIFEST = """\
# Files of the team.
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:   {name: files}
spec:
        plugin:  whoami
        replicas:    3   # at noon
        env:
            LEVEL:   'info'
"""
SCALED = MANIFEST.replace("    3   #", "    5   #")

Vaultctl = Callable[..., int]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory on which a controller runs, so that commands leave the converging to it."""
    directory = tmp_path / "state"
    with lease(directory / "controller.lock"):
        yield directory


@pytest.fixture
def vaultctl(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vaultctl:
    for name, value in PERSON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run([*arguments, "--state-dir", str(state)])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = made_in(tmp_path)
    made.commit({"apps/files.yaml": MANIFEST})
    made.git("branch", "--quiet", "--set-upstream-to=origin/main")
    return made


def store(state: Path, source: Source) -> None:
    loaded: Loaded = source.load()
    assert loaded.complete, loaded.problems
    sync(loaded, ObjectStore(state), source, datetime.now(UTC))


@pytest.fixture
def in_directory(repository: Repository, state: Path) -> Repository:
    """The service comes from a directory that is a working copy."""
    store(state, DirectorySource(repository.work / "apps"))
    return repository


@pytest.fixture
def in_git(repository: Repository, state: Path) -> Repository:
    """The service comes from the repository itself."""
    git = Git({"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    source = GitSource(
        parse_address(f"file://{repository.bare}", "main", "apps"),
        state,
        git,
        interval=60,
        chance=random.Random(1),
    )
    store(state, source)
    return repository


def log(repository: Repository) -> list[str]:
    return repository.git("log", "--format=%s").splitlines()


def pushed(repository: Repository) -> str:
    return sh("git", "show", "main:apps/files.yaml", cwd=repository.bare) + "\n"


def test_a_scale_is_one_line_and_one_commit(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("scale", "files", "--replicas", "5") == 0
    assert (in_directory.work / "apps/files.yaml").read_text() == SCALED
    assert log(in_directory) == ["scale(files): replicas 3 -> 5", "A change"]
    stat = in_directory.git("diff", "--stat", "HEAD~1")
    assert "1 file changed, 1 insertion(+), 1 deletion(-)" in stat
    assert "scale(files): replicas 3 -> 5" in capsys.readouterr().out
    assert pushed(in_directory) == MANIFEST


def test_a_push_follows_when_it_is_asked_for(in_directory: Repository, vaultctl: Vaultctl) -> None:
    assert vaultctl("scale", "files", "--replicas", "5", "--push", "-m", "More\n\nfor noon") == 0
    assert pushed(in_directory) == SCALED
    assert in_directory.git("log", "-1", "--format=%B") == "More\n\nfor noon"


CHANGES = [
    (("set", "files", "env.LEVEL=debug"), "'info'", "'debug'", "set(files): env.LEVEL"),
    (("set", "files", "images.web=r.test/app:1.5"), "'info'\n", "'info'\n        images: {web: r.test/app:1.5}\n",
     "set(files): images.web"),
    (("set", "files", "env.LEVEL=5", "replicas=4"), "    3   #", "    4   #", "set(files): env.LEVEL, replicas"),
    (("suspend", "files"), "'info'\n", "'info'\n        suspend: true\n", "suspend(files): leave it alone"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "old", "new", "subject"), CHANGES)
def test_other_changes(
    in_directory: Repository, vaultctl: Vaultctl, command: tuple[str, ...], old: str, new: str, subject: str
) -> None:
    assert vaultctl(*command) == 0
    text = (in_directory.work / "apps/files.yaml").read_text()
    assert new in text
    assert log(in_directory)[0] == subject
    (service,) = (each.resource for each in parse(text, Path("files.yaml")))
    assert service.spec.env["LEVEL"] in ("info", "debug", "5")


def test_a_resume_takes_a_suspend_back(in_directory: Repository, vaultctl: Vaultctl) -> None:
    assert vaultctl("suspend", "files") == 0
    assert vaultctl("resume", "files") == 0
    assert "suspend: false" in (in_directory.work / "apps/files.yaml").read_text()


def test_a_stop_is_one_commit_and_a_start_takes_it_back(in_directory: Repository, vaultctl: Vaultctl) -> None:
    assert vaultctl("stop", "files") == 0
    text = (in_directory.work / "apps/files.yaml").read_text()
    (stopped,) = (each.resource for each in parse(text, Path("files.yaml")))
    assert stopped.spec.replicas == 0
    assert "    0   # at noon" in text
    assert log(in_directory)[0] == "stop(files): replicas 3 -> 0"
    assert vaultctl("stop", "files") == 0
    assert len(log(in_directory)) == 2, "it is stopped already"


def test_a_start_without_a_stop_changes_nothing(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("start", "files") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert log(in_directory) == ["A change"]


def test_a_dry_run_prints_the_line_and_changes_nothing(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("scale", "files", "--replicas", "5", "--dry-run") == 0
    out = capsys.readouterr().out
    assert out.startswith("--- a/apps/files.yaml\n+++ b/apps/files.yaml\n@@ ")
    assert "\n-        replicas:    3   # at noon\n+        replicas:    5   # at noon\n" in out
    assert in_directory.git("status", "--porcelain") == ""
    assert log(in_directory) == ["A change"]


def test_what_is_so_already_makes_no_commit(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("scale", "files", "--replicas", "3") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert log(in_directory) == ["A change"]


def test_a_value_that_is_not_valid_is_refused_with_its_place(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("set", "files", "replicas=many") == 1
    assert "files.yaml:7:22: spec.replicas: " in capsys.readouterr().err
    assert (in_directory.work / "apps/files.yaml").read_text() == MANIFEST


def dirty(repository: Repository) -> None:
    (repository.work / "apps/files.yaml").write_text(MANIFEST + "# later\n")


def detached(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--detach")


def behind(repository: Repository) -> None:
    repository.commit({"other": "x"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")


def diverged(repository: Repository) -> None:
    behind(repository)
    repository.git("commit", "--quiet", "--allow-empty", "-m", "Mine")


def refusing(repository: Repository) -> None:
    hook = repository.work / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: not on a Friday' >&2; exit 1\n")
    hook.chmod(0o755)


OBSTACLES: list[tuple[Callable[[Repository], None], str]] = [
    (dirty, "has changes that are not committed, such as apps/files.yaml; commit or stash them first"),
    (detached, "is on no branch, so a commit would be lost; run: git switch BRANCH"),
    (behind, "main is 1 commits behind origin/main; run: git pull --rebase"),
    (diverged, "main has diverged from origin/main (1 and 1 commits); run: git pull --rebase"),
    (refusing, "git made no commit, so files.yaml is as it was: not on a Friday"),
]


@pytest.mark.parametrize(("obstacle", "says"), OBSTACLES)
def test_what_is_in_the_way_is_said_and_nothing_is_changed(
    in_directory: Repository,
    vaultctl: Vaultctl,
    capsys: pytest.CaptureFixture[str],
    obstacle: Callable[[Repository], None],
    says: str,
) -> None:
    obstacle(in_directory)
    before = (in_directory.git("rev-parse", "HEAD"), (in_directory.work / "apps/files.yaml").read_text())
    assert vaultctl("scale", "files", "--replicas", "5") == 1
    assert says in capsys.readouterr().err
    after = (in_directory.git("rev-parse", "HEAD"), (in_directory.work / "apps/files.yaml").read_text())
    assert after == before


def test_a_push_looks_at_the_remote_first(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    sh("git", "clone", "--quiet", str(in_directory.bare), str(other), cwd=tmp_path)
    Repository(in_directory.bare, other).commit({"other": "x"})
    assert vaultctl("scale", "files", "--replicas", "5", "--push") == 1
    assert "main is 1 commits behind origin/main" in capsys.readouterr().err


def test_a_service_from_git_is_changed_in_a_clone_of_it(
    in_git: Repository, vaultctl: Vaultctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(in_git.work / "apps")
    assert vaultctl("scale", "files", "--replicas", "5") == 0
    assert (in_git.work / "apps/files.yaml").read_text() == SCALED
    assert log(in_git)[0] == "scale(files): replicas 3 -> 5"


def test_a_service_from_git_is_changed_from_anywhere_with_push(
    in_git: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("scale", "files", "--replicas", "5") == 1
    assert "run this in a clone of it, or with --push from anywhere" in capsys.readouterr().err
    assert vaultctl("scale", "files", "--replicas", "5", "--push") == 0
    assert pushed(in_git) == SCALED


def test_a_clone_on_another_branch_is_refused(
    in_git: Repository,
    vaultctl: Vaultctl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    in_git.git("switch", "--quiet", "--create", "idea")
    monkeypatch.chdir(in_git.work)
    assert vaultctl("scale", "files", "--replicas", "5") == 1
    assert "files follows main, and this clone is on idea; run: git switch main" in capsys.readouterr().err


def test_a_manifest_outside_of_git_is_only_changed(vaultctl: Vaultctl, state: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain" / "files.yaml"
    path.parent.mkdir()
    path.write_text(MANIFEST)
    path.chmod(0o640)
    store(state, DirectorySource(path))
    assert vaultctl("scale", "files", "--replicas", "5") == 0
    assert path.read_text() == SCALED
    assert path.stat().st_mode & 0o777 == 0o640
    assert vaultctl("scale", "files", "--replicas", "6", "--push") == 1
    assert path.read_text() == SCALED


@pytest.mark.parametrize("is_file", [True, False])
def test_what_was_applied_is_changed_in_the_store_too(
    vaultctl: Vaultctl, state: Path, tmp_path: Path, is_file: bool
) -> None:
    path = tmp_path / "files.yaml"
    if is_file:
        path.write_text(MANIFEST)
    (manifest,) = parse(MANIFEST, path)
    objects = ObjectStore(state)
    objects.apply(service_of(manifest), Origin("apply", str(path), path, 2))
    assert vaultctl("scale", "files", "--replicas", "5") == 0
    stored = objects.get("files")
    assert stored is not None
    assert (stored.resource.spec.replicas, stored.resource.metadata.generation) == (5, 2)
    assert stored.resource.spec.env == {"LEVEL": "info"}
    assert (path.read_text() == SCALED) if is_file else not path.exists()


@pytest.mark.parametrize("assignment", ["replicas", "=3", ".a=3", "env.=x"])
def test_what_is_no_assignment_is_refused(
    vaultctl: Vaultctl, in_directory: Repository, assignment: str
) -> None:
    assert vaultctl("set", "files", assignment) == 2


def test_a_label_is_a_line_and_a_commit_that_keeps_comments(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    path = in_directory.work / "apps/files.yaml"
    assert vaultctl("label", "files", "team=web", "example.org/tier=1") == 0
    added = "{name: files}", '{labels: {example.org/tier: "1", team: web}, name: files}'
    assert path.read_text() == MANIFEST.replace(*added)
    assert log(in_directory)[0] == "label(files): team, example.org/tier"
    assert capsys.readouterr().out.endswith("vaultservice/files labeled\n")
    store(state, DirectorySource(in_directory.work / "apps"))
    assert vaultctl("label", "files", "team=db") == 1
    assert "files has another team already; replace it with --overwrite" in capsys.readouterr().err
    assert vaultctl("label", "files", "team=db", "--overwrite") == 0
    assert vaultctl("label", "files", "team-", "example.org/tier-") == 0
    assert path.read_text() == MANIFEST
    assert log(in_directory)[0] == "label(files): team-, example.org/tier-"
    stored = ObjectStore(state).get("files")
    assert stored is not None
    assert stored.generation == 1


def test_annotations_are_edited_where_they_are(
    in_directory: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    path = in_directory.work / "apps/files.yaml"
    block = MANIFEST.replace(
        "metadata:   {name: files}\n", "metadata:\n  name: files\n  annotations:  # ours\n    a.b/c: x\n"
    )
    path.write_text(block)
    in_directory.git("commit", "--quiet", "-am", "block")
    assert vaultctl("annotate", "files", "example.org/owner=team web") == 0
    assert path.read_text() == block.replace(
        "    a.b/c: x\n", '    a.b/c: x\n    example.org/owner: "team web"\n'
    )
    assert vaultctl("annotate", "files", "example.org/owner=team web", "--overwrite") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert vaultctl("annotate", "files", "bad key=x") == 1
    assert "metadata.annotations" in capsys.readouterr().err


def test_a_label_of_a_service_from_git_needs_a_clone_or_a_push(
    in_git: Repository, vaultctl: Vaultctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vaultctl("label", "files", "team=web") == 1
    assert "run this in a clone of it, or with --push from anywhere" in capsys.readouterr().err
    assert vaultctl("label", "files", "team=web", "--push") == 0
    assert "team: web" in pushed(in_git)


def test_an_edit_by_hand_is_a_commit_that_keeps_comments(
    in_directory: Repository,
    vaultctl: Vaultctl,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VISUAL", "sed -i -e 's/    3   #/    5   #/' -e s/info/debug/")
    assert vaultctl("edit", "files", "--dry-run") == 0
    assert "+        replicas:    5   # at noon" in capsys.readouterr().out
    assert vaultctl("edit", "vs", "files") == 0
    path = in_directory.work / "apps/files.yaml"
    assert path.read_text() == SCALED.replace("info", "debug")
    assert log(in_directory)[0] == "edit(files): env.LEVEL, replicas"
    assert capsys.readouterr().out.endswith("vaultservice/files edited\n")
    assert vaultctl("edit", "files") == 0
    assert capsys.readouterr().out == "nothing was edited, so nothing was changed\n"
    monkeypatch.setenv("VISUAL", "sed -i -e 's/Files of the team/Of us/'")
    assert vaultctl("edit", "files") == 0
    assert log(in_directory)[0] == "edit(files): comments"


def test_an_edit_that_is_not_valid_is_shown_again_and_kept(
    in_directory: Repository,
    vaultctl: Vaultctl,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shown = tmp_path / "shown"
    monkeypatch.setenv("VISUAL", f'sh -c \'sed -i s/whoami/Whoami/ "$1"; cat "$1" > {shown}\' sh')
    assert vaultctl("edit", "files") == 1
    assert "spec.plugin: must be a plugin slug" in shown.read_text()
    told = capsys.readouterr().err
    assert "the edited text is not valid, so nothing was changed" in told
    kept = Path(told.splitlines()[-1].removeprefix("the edited text is in "))
    assert "Whoami" in kept.read_text()
    shutil.rmtree(kept.parent)
    assert (in_directory.work / "apps/files.yaml").read_text() == MANIFEST


def test_a_working_copy_that_takes_no_commit_is_refused_before_the_editor_opens(
    in_directory: Repository,
    vaultctl: Vaultctl,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("VISUAL", f"touch {tmp_path}/opened")
    with (in_directory.work / "apps/files.yaml").open("a") as file:
        file.write("# mine\n")
    assert vaultctl("edit", "files") == 1
    assert "has changes that are not committed" in capsys.readouterr().err
    assert not (tmp_path / "opened").exists()


def test_an_edit_of_a_service_from_git_is_pushed(
    in_git: Repository,
    vaultctl: Vaultctl,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VISUAL", "sed -i -e 's/    3   #/    5   #/'")
    assert vaultctl("edit", "files") == 1
    assert "run this in a clone of it, or with --push from anywhere" in capsys.readouterr().err
    assert vaultctl("edit", "files", "--push", "-m", "five") == 0
    assert pushed(in_git) == SCALED


def test_what_is_only_stored_is_edited_in_the_store(
    vaultctl: Vaultctl, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = ObjectStore(state)
    (manifest,) = parse(MANIFEST, Path("-"))
    objects.apply(service_of(manifest), Origin("apply", "-", Path("/nowhere/-"), 1))
    monkeypatch.setenv("VISUAL", "sed -i -e 's/replicas: 3/replicas: 5/'")
    assert vaultctl("edit", "files") == 0
    stored = objects.get("files")
    assert stored is not None
    assert (stored.resource.spec.replicas, stored.generation) == (5, 2)
