"""The user's editor gets a private file, and its failure is an error."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reconciler.cli.editor import editor_of
from reconciler.cli.errors import Failure

PATH = "/usr/bin:/bin"


def test_a_text_comes_back_as_it_was_edited() -> None:
    editor = editor_of({"VISUAL": "sed -i s/a/b/", "EDITOR": "false", "PATH": PATH}, "files.yaml")
    assert editor("a: 1\r\n# é\n") == "b: 1\r\n# é\n"
    assert editor.path.name == "files.yaml"
    assert stat.S_IMODE(editor.path.parent.stat().st_mode) == 0o700
    editor.forget()
    assert not editor.path.parent.exists()


def test_a_new_file_is_private() -> None:
    editor = editor_of({"EDITOR": "true"}, "files.yaml")
    editor("a")
    assert stat.S_IMODE(editor.path.stat().st_mode) == 0o600
    editor.forget()


def test_without_variables_a_usual_editor_is_taken(tmp_path: Path) -> None:
    (tmp_path / "vi").write_text('#!/bin/sh\necho x >> "$1"\n')
    (tmp_path / "vi").chmod(0o755)
    editor = editor_of({"PATH": str(tmp_path), "EDITOR": " "}, "f.yaml")
    text = editor("a\n")
    editor.forget()
    assert text == "a\nx\n"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"EDITOR": "false"}, "the editor false ended with 1, so nothing was changed"),
        ({"EDITOR": "/no/editor"}, "the editor /no/editor cannot be started: No such file"),
        ({"EDITOR": "sh -c 'rm \"$1\"' sh"}, "the edited text cannot be read"),
    ],
)
def test_an_editor_that_fails(environ: dict[str, str], says: str) -> None:
    editor = editor_of(environ, "f.yaml")
    with pytest.raises(Failure, match=says):
        editor("a")
    editor.forget()


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"EDITOR": "a 'b"}, "EDITOR cannot be read as a command"),
        ({"PATH": "/nonexistent"}, "there is no editor: set EDITOR"),
    ],
)
def test_no_editor(environ: dict[str, str], says: str) -> None:
    with pytest.raises(Failure, match=says):
        editor_of(environ, "f.yaml")
