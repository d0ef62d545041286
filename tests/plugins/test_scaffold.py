"""A new plugin loads and passes the lint, and existing files are not changed."""

from pathlib import Path

import pytest

from vault_plugins import PluginError, PluginMetadataError
from vault_plugins.lint import lint, readme_of
from vault_plugins.registry import discover
from vault_plugins.scaffold import scaffold


@pytest.mark.parametrize(
    ("slug", "directory"), [("notes", "notes"), ("my-notes-2", "my_notes_2"), ("a" * 40, "a" * 40)]
)
def test_a_new_plugin_is_found_and_passes_the_lint(tmp_path: Path, slug: str, directory: str) -> None:
    paths = scaffold(slug, tmp_path / "plugins")
    assert {path.relative_to(tmp_path / "plugins" / directory) for path in paths} == {
        Path("__init__.py"),
        Path("plugin.py"),
        Path("README.md"),
    }
    loaded = discover([tmp_path / "plugins"]).get(slug)
    assert lint(loaded, {}, readme_of(loaded)) == ()
    assert loaded.plugin.metadata.default_port == 8080


def test_no_placeholder_is_left(tmp_path: Path) -> None:
    assert not [path for path in scaffold("my-notes", tmp_path) if "$" in path.read_text()]


@pytest.mark.parametrize("slug", ["", "Notes", "../notes", "no tes", "-", "a" * 41])
def test_a_slug_that_no_plugin_could_have_writes_nothing(tmp_path: Path, slug: str) -> None:
    with pytest.raises(PluginMetadataError, match=r"slug"):
        scaffold(slug, tmp_path / "plugins")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "my_notes").mkdir()
    (tmp_path / "my_notes" / "plugin.py").write_text("mine")
    with pytest.raises(PluginError, match=r"already exists; choose another slug or remove it"):
        scaffold("my-notes", tmp_path)
    assert [path.read_text() for path in (tmp_path / "my_notes").iterdir()] == ["mine"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match=r"cannot write .*file/notes: Not a directory"):
        scaffold("notes", tmp_path / "file")
