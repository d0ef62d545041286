"""`.vaultignore`: files below a directory of manifests that are not read, in the pattern syntax of .gitignore.

A repository may hold YAML files of other programs, and reading a large tree of them costs time at every load. Only the
file in the top directory counts, so that all patterns are in one place.

Everyone who may push can write a pattern, so matching goes back to one `*` and one `**` at a time: its time is that of
the pattern times that of the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from reconciler.api.text_file import read_text

__all__ = ["NAME", "Ignored", "read_ignored"]

NAME: Final = ".vaultignore"

_TOKEN: Final = re.compile(r"\*+|\?|\[!?[^]/]+\]|\\?.", re.DOTALL)
_SLASHES: Final = ("/", "\\/")
_ANY: Final = re.compile(r".*", re.DOTALL)

_Name = re.Pattern[str] | None
"""The pattern of one name in a path; None stands for any number of directories."""


@dataclass(frozen=True, slots=True)
class _Rule:
    names: tuple[_Name, ...]
    directories_only: bool
    ignores: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """The rules of one file; the last matching rule decides."""

    rules: tuple[_Rule, ...] = ()

    def holds(self, path: PurePath, *, is_directory: bool) -> bool:
        """Whether a path, relative to the top directory, is ignored. The caller does not descend into ignored ones."""
        for rule in reversed(self.rules):
            if (is_directory or not rule.directories_only) and _fits(path.parts, rule.names):
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
        try:
            yield from [_Rule(names, directories_only, ignores) for names in _names(pattern)]
        except re.error:
            # A class such as [z-a] matches nothing, as in .gitignore.
            continue


def _names(pattern: str) -> Iterator[tuple[_Name, ...]]:
    """The names of a path that a pattern asks for; there may be two ways to read it."""
    parts: list[list[str]] = [[]]
    for token in _TOKEN.findall(pattern.removeprefix("/")):
        if token in _SLASHES:
            parts.append([])
        else:
            parts[-1].append(token)
    if len(parts) == 1:
        yield (None, _name(parts[0])) if "/" not in pattern else (_name(parts[0]),)
        return
    *begin, end = parts[0] or [""]
    if begin and end == "**" and all(len(each) == 1 and each not in "?*" for each in begin):
        # Behind the beginning of the first name, and only there, git takes `**` for directories, too.
        yield tuple(_below([begin + parts[1], *parts[2:]]))
        yield (_name(parts[0]), None, *_below(parts[1:]))
    else:
        yield tuple(_below(parts))


def _below(parts: Sequence[list[str]]) -> Iterator[_Name]:
    for number, part in enumerate(parts, 1):
        if part != ["**"]:
            yield _name(part)
            continue
        yield None
        if number == len(parts):
            # What is below a directory is not the directory itself.
            yield _ANY


def _name(tokens: Sequence[str]) -> re.Pattern[str]:
    fixed = [""]
    for token in tokens:
        if token[0] == "*":
            fixed.append("")
        else:
            fixed[-1] += _one(token)
    first, *others = fixed
    if not others:
        return re.compile(first, re.DOTALL)
    # The first place where a part between two `*` fits leaves most to the parts behind it, so no other is tried.
    between = "".join(f"(?>.*?{each})" for each in others[:-1])
    return re.compile(f"{first}{between}.*{others[-1]}", re.DOTALL)


def _fits(parts: Sequence[str], names: Sequence[_Name]) -> bool:
    """Whether all parts of a path match; what follows the last None that was met is tried at each later place."""
    at = name = 0
    again: tuple[int, int] | None = None
    while at < len(parts):
        wanted = names[name] if name < len(names) else None
        if name < len(names) and wanted is None:
            again, name = (at, name + 1), name + 1
        elif wanted is not None and wanted.fullmatch(parts[at]):
            at, name = at + 1, name + 1
        elif again is not None:
            again = (again[0] + 1, again[1])
            at, name = again
        else:
            return False
    return all(each is None for each in names[name:])


def _one(token: str) -> str:
    if token == "?":
        return "."
    if token[0] == "[" and len(token) > 2:
        negated = token[1] == "!"
        inner = token[2 if negated else 1 : -1].replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
        return f"[{'^' if negated else ''}{inner}]"
    return re.escape(token.removeprefix("\\") or token)
