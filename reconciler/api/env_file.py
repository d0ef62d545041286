"""Reads the KEY=VALUE files that `envFrom` names: settings and secrets that stay out of manifests.

The dialect is the subset on which shells, Docker and Compose agree; where they differ (spaces, interpolation,
open quotes) the file is refused. No message repeats a value.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.api.errors import ManifestError, Problem
from reconciler.api.text_file import read_text

__all__ = ["PermissionWarning", "is_name", "load_env_file", "parse_settings", "permission_warning"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_COMMENT_AFTER_VALUE: Final = re.compile(r"\s#.*$")
_DOUBLE_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_SINGLE_QUOTED: Final = re.compile(r"'([^']*)'\s*(?:#.*)?")
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def load_env_file(path: Path) -> dict[str, str]:
    """The settings of a file, in file order. Raises ManifestError with every problem as file:line:column.

    `#` starts a comment, `export` before a name is allowed. Unquoted values end at a ` #` and lose trailing
    space; values in single quotes are literal; in double quotes \\n, \\r, \\t, \\" and \\\\ are escapes. `$`
    is an ordinary character everywhere.
    """
    return parse_settings(read_text(path), path)


def parse_settings(content: str, path: Path) -> dict[str, str]:
    """Like `load_env_file`, for the text of a file; `path` is its name in problems."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(content.split("\n"), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            name, value = _assignment(text)
            if name in values:
                raise _RefusedError(f"{name} is given twice", f"keep one; the first is on line {lines[name]}")
            values[name], lines[name] = value, number
        except _RefusedError as refused:
            column = len(line) - len(line.lstrip()) + 1
            problems.append(Problem(path, number, column, "", refused.message, refused.suggestion))
    if problems:
        raise ManifestError(problems)
    return values


def is_name(text: str) -> bool:
    """Whether a setting can have this name."""
    return _NAME.fullmatch(text) is not None


class PermissionWarning(NamedTuple):
    """What is doubtful about a file, and the command that repairs it."""

    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.message}; run: {self.fix}"


def permission_warning(path: Path) -> PermissionWarning | None:
    """A warning when every user of the machine can read the file, else None. Raises OSError if it is gone."""
    if path.stat().st_mode & stat.S_IROTH:
        return PermissionWarning(f"{path} can be read by every user of this machine", f"chmod 600 {path}")
    return None


class _RefusedError(Exception):
    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


def _assignment(text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    name = left.removeprefix("export ").lstrip() if left.startswith("export ") else left
    if not equals:
        raise _RefusedError("has no '='", "write KEY=VALUE, or # in front of a comment")
    if not _NAME.fullmatch(name):
        raise _RefusedError(
            "has no valid name before '='", "use letters, digits and '_', without spaces around them"
        )
    return name, _value(name, right)


def _value(name: str, written: str) -> str:
    if "\0" in written:
        raise _RefusedError(f"{name} holds a NUL character", "remove it")
    if written[:1] == '"':
        if match := _DOUBLE_QUOTED.fullmatch(written):
            return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), match[1])
        raise _RefusedError(
            f"{name} has no closing quote at its end", r"close it; write line breaks as \n, quotes as \""
        )
    if written[:1] == "'":
        if match := _SINGLE_QUOTED.fullmatch(written):
            return match[1]
        raise _RefusedError(f"{name} has no closing quote at its end", "close it on the same line")
    if written[:1].isspace():
        raise _RefusedError(
            f"{name} has a space after '='", "remove it, or quote the value if the space belongs to it"
        )
    return _COMMENT_AFTER_VALUE.sub("", written).rstrip()
