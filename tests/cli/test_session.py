"""Where state lives, and that a global option counts wherever it stands."""

from pathlib import Path

import click
import pytest

from reconciler.cli.global_options import global_options
from reconciler.cli.session import SYSTEM_STATE_DIR, Session, default_state_dir
from reconciler.cli.verb import Verb, VerbGroup


@pytest.mark.parametrize(
    ("environ", "uid", "directory"),
    [
        ({}, 0, SYSTEM_STATE_DIR),
        ({"XDG_STATE_HOME": "/x"}, 0, SYSTEM_STATE_DIR),
        ({"HOME": "/home/a"}, 1000, Path("/home/a/.local/state/vault-reconciler")),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/x"}, 1000, Path("/x/vault-reconciler")),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "x"}, 1000, Path("/home/a/.local/state/vault-reconciler")),
    ],
)
def test_the_state_directory(environ: dict[str, str], uid: int, directory: Path) -> None:
    assert default_state_dir(environ, uid) == directory


def parse(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environ: str) -> Session:
    """The session that a verb sees."""
    for name in ("VAULT_STATE_DIR", "VAULT_PLUGIN_PATH", "VAULT_LOG_FORMAT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    seen: list[Session] = []
    verb = Verb("verb", callback=click.make_pass_decorator(Session)(seen.append))
    group = VerbGroup("group", params=[*global_options(hidden=False)], commands={"verb": verb})
    group.main(arguments, standalone_mode=False, obj=Session(Path("/default")))
    return seen[0]


def test_an_option_counts_before_and_after_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(monkeypatch, "verb").state_dir == Path("/default")
    assert parse(monkeypatch, "--state-dir", "/a", "verb").state_dir == Path("/a")
    assert parse(monkeypatch, "verb", "--state-dir", "/b").state_dir == Path("/b")
    assert parse(monkeypatch, "--state-dir", "/a", "verb", "--state-dir", "/b").state_dir == Path("/b")
    assert parse(monkeypatch, "verb", "--debug").debug
    assert not parse(monkeypatch, "verb").debug


def test_the_environment_counts_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(monkeypatch, "verb", VAULT_STATE_DIR="/e").state_dir == Path("/e")
    assert parse(monkeypatch, "verb", "--state-dir", "/b", VAULT_STATE_DIR="/e").state_dir == Path("/b")
    assert parse(monkeypatch, "--state-dir", "/a", "verb", VAULT_STATE_DIR="/e").state_dir == Path("/a")
    assert parse(monkeypatch, "verb", VAULT_LOG_FORMAT="json").log_format == "json"


def test_plugin_paths_add_up_and_the_environment_separates_them_like_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = (Path("/a"), Path("/b"))
    assert parse(monkeypatch, "--plugin-path", "/a", "--plugin-path", "/b", "verb").plugin_path == two
    assert parse(monkeypatch, "verb", VAULT_PLUGIN_PATH="/a:/b").plugin_path == two


def test_options_of_the_wiring_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    options = Session(Path("state")).options(workers=7)
    assert options.state_dir == tmp_path / "state"
    assert options.workers == 7
