"""`.vaultignore`: files below a directory of manifests that are not read, in the pattern syntax of .gitignore.

A repository may hold YAML files of other programs, and reading a large tree of them costs time at every load. Only the
file in the top directory counts, so that all patterns are in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from reconciler.api.text_file import read_text

__all__ = ["NAME", "Ignored", "read_ignored"]

NAME: Final = ".vaultignore"

_TOKEN: Final = re.compile(r"\*\*/|/\*\*$|\*|\?|\[!?[^]/]+\]|\\?.", re.DOTALL)
_TRANSLATED: Final = {"**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    directories_only: bool
    ignores: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """The rules of one file; the last matching rule decides."""

    rules: tuple[_Rule, ...] = ()

    def holds(self, path: PurePath, *, is_directory: bool) -> bool:
        """Whether a path, relative to the top directory, is ignored. The caller does not descend into ignored ones."""
        for rule in reversed(self.rules):
            if (is_directory or not rule.directories_only) and rule.pattern.fullmatch(path.as_posix()):
                return rule.ignores
        return False


def read_ignored(directory: Path) -> Ignored:
    """The rules of the file in this directory; none if it does not exist. Raises ManifestError if it is unreadable."""
    file = directory / NAME
    if not file.exists() and not file.is_symlink():
        return Ignored()
    return Ignored(tuple(_rules(read_text(file))))


def _rules(text: str) -> Iterator[_Rule]:
    for line in text.splitlines():
        # A backslash keeps a trailing space, as in .gitignore.
        written = line.rstrip() if not line.rstrip(" ").endswith("\\") else line
        if not written or written.startswith("#"):
            continue
        ignores = not written.startswith("!")
        pattern = written.removeprefix("!")
        directories_only, pattern = pattern.endswith("/"), pattern.rstrip("/")
        if not pattern:
            continue
        # A pattern with a slash is relative to the top directory, one without matches at any depth.
        anywhere = "/" not in pattern
        expression = ("(?:.*/)?" if anywhere else "") + _translated(pattern.removeprefix("/"))
        try:
            yield _Rule(re.compile(expression, re.DOTALL), directories_only, ignores)
        except re.error:
            # A class such as [z-a] matches nothing, as in .gitignore.
            continue


def _translated(pattern: str) -> str:
    return "".join(_one(token) for token in _TOKEN.findall(pattern))


def _one(token: str) -> str:
    if token in _TRANSLATED:
        return _TRANSLATED[token]
    if token[0] == "[" and len(token) > 2:
        negated = token[1] == "!"
        inner = token[2 if negated else 1 : -1].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
        return f"[{'^/' if negated else ''}{inner}]"
    return re.escape(token.removeprefix("\\") or token)
