"""`init` writes a manifest that is valid, or nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.api import load
from tests.sources.git_repository import PERSON, sh

Vaultctl = Callable[..., Result]

COMPOSE = (
    "services:\n  app:\n    image: example/app:1\n    ports: ['8123:80']\n  db:\n    image: example/db:1\n"
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and no engine."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, PERSON[name])
    return directory


@pytest.mark.docker
def test_from_a_compose_file(vaultctl: Vaultctl, here: Path) -> None:
    (here / "notes").mkdir()
    (here / "notes" / "compose.yaml").write_text(COMPOSE)
    done = vaultctl("init", "--from-compose", "notes/compose.yaml", "--replicas", "2", "--git")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "notes.yaml\n"
    assert "notes is valid (compose, 2 replicas on port 8123)" in done.stderr
    assert (here / "notes.yaml").read_text() == (
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata:\n  name: notes\nspec:\n  compose:\n"
        "    file: notes/compose.yaml\n    web: app\n    port: 80\n  ports:\n    http: 8123\n  replicas: 2\n"
    )
    assert vaultctl("validate", "-f", "notes.yaml").exit_code == 0
    assert sh("git", "ls-files", cwd=here).splitlines() == [".gitignore", "notes.yaml", "notes/compose.yaml"]
    assert sh("git", "log", "--format=%s", cwd=here) == "Add notes"


@pytest.mark.docker
def test_with_an_open_question_nothing_is_written(vaultctl: Vaultctl, here: Path) -> None:
    (here / "compose.yaml").write_text(
        "services:\n  a: {image: a, ports: [80]}\n  b: {image: b, ports: [80]}\n"
    )
    done = vaultctl("init", "--from-compose", "compose.yaml")
    assert done.exit_code == 1
    assert "set spec.compose.web to one of: a (80), b (80)" in done.stderr
    assert [path.name for path in here.iterdir()] == ["compose.yaml"]


def test_from_the_settings_of_the_original(vaultctl: Vaultctl, here: Path) -> None:
    (here / ".env").write_text(
        "VAULT_SERVICE=paperless\nVAULT_HTTP_PORT=8088\nVAULT_USER=x\nPAPERLESS_DBPASS=it's-secret\nPAPERLESS_SECRET_KEY=b$c\n"
    )
    done = vaultctl("init", "papers", "--from-env", ".env", "--git")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "papers.yaml\npapers.env\n"
    assert "VAULT_USER is left out" in done.stderr
    assert "secret" not in done.stderr
    (manifest,) = load(here / "papers.yaml")
    assert manifest.resource.spec.env_from[0].file == "papers.env"
    assert stat.S_IMODE((here / "papers.env").stat().st_mode) == 0o600
    assert (
        here / "papers.env"
    ).read_text() == "PAPERLESS_DBPASS=\"it's-secret\"\nPAPERLESS_SECRET_KEY='b$c'\n"
    assert sh("git", "ls-files", cwd=here).splitlines() == [".gitignore", "papers.yaml"]
    assert sh("git", "status", "--porcelain", cwd=here) == ""


def test_what_is_not_valid_is_not_written(vaultctl: Vaultctl, here: Path) -> None:
    (here / ".env").write_text("VAULT_SERVICE=paperless\nPAPERLESS_DBPASS=x\n")
    done = vaultctl("init", "--from-env", ".env")
    assert done.exit_code == 1
    assert "PAPERLESS_SECRET_KEY must be set" in done.stderr
    assert [path.name for path in here.iterdir()] == [".env"]


def test_of_a_plugin(vaultctl: Vaultctl, here: Path) -> None:
    done = vaultctl("init", "files", "--plugin", "whoami", "--port", "9000", "--output", "x.yaml")
    assert (done.exit_code, done.stdout) == (0, "x.yaml\n"), done.stderr
    assert load(here / "x.yaml")[0].resource.name == "files"


def test_nothing_is_overwritten(vaultctl: Vaultctl, here: Path) -> None:
    (here / "files.yaml").write_text("mine")
    done = vaultctl("init", "files", "--plugin", "whoami")
    assert done.exit_code == 2
    assert "files.yaml exists already" in done.stderr
    assert (here / "files.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --from-compose, --from-env or --plugin"),
        (("--plugin", "whoami"), "give the name of the service"),
        (("x", "--plugin", "whoami", "--from-env", ".env"), "exclude each other"),
    ],
)
def test_without_a_terminal_nothing_is_asked(
    vaultctl: Vaultctl, here: Path, arguments: tuple[str, ...], message: str
) -> None:
    (here / ".env").touch()
    done = vaultctl("init", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_working_copy_gets_one_commit_of_what_was_written(vaultctl: Vaultctl, here: Path) -> None:
    sh("git", "init", "--quiet", cwd=here)
    (here / "other").write_text("staged")
    (here / ".gitignore").write_text("x\n")
    sh("git", "add", "other", cwd=here)
    done = vaultctl("init", "files", "--plugin", "whoami", "--git")
    assert done.exit_code == 0, done.stderr
    assert sh("git", "show", "--format=", "--name-only", cwd=here) == "files.yaml"
    assert "A  other" in sh("git", "status", "--porcelain", cwd=here)
