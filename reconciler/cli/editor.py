"""Shows a text in the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reconciler.cli.errors import Failure
from reconciler.files import PRIVATE

__all__ = ["Editor", "editor_of"]

VARIABLES: Final = ("VISUAL", "EDITOR")
USUAL: Final = ("editor", "vi", "nano")


class Editor:
    """An editor and the file that it opens, which only its user can read: a manifest may hold settings. The file is below
    `parent`, or where temporary files are.
    """

    def __init__(self, words: list[str], name: str, parent: Path | None = None) -> None:
        self._words = words
        self._directory = Path(tempfile.mkdtemp(prefix="vaultctl-edit-", dir=parent))
        # With the name of the manifest, from which editors know what it is.
        self.path = self._directory / name

    def __call__(self, text: str) -> str:
        """The text after it was edited. Raises Failure when the editor cannot be started, or fails."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        try:
            code = subprocess.call([*self._words, str(self.path)])
        except OSError as error:
            raise Failure(f"the editor {self._words[0]} cannot be started: {error.strerror}") from error
        if code:
            raise Failure(f"the editor {self._words[0]} ended with {code}, so nothing was changed")
        try:
            return self.path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"the edited text cannot be read: {error}") from error

    def forget(self) -> None:
        """Remove the file."""
        shutil.rmtree(self._directory, ignore_errors=True)


def editor_of(environ: Mapping[str, str], name: str, parent: Path | None = None) -> Editor:
    """The editor of $VISUAL or $EDITOR, which may have options, or a usual one. Raises Failure when there is none."""
    for variable in VARIABLES:
        if words := _words(environ.get(variable, ""), variable):
            return Editor(words, name, parent)
    for program in USUAL:
        if found := shutil.which(program, path=environ.get("PATH")):
            return Editor([found], name, parent)
    raise Failure("there is no editor: set EDITOR, for example to nano")


def _words(text: str, variable: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Failure(f"{variable} cannot be read as a command: {error}") from None
