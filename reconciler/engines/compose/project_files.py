"""Collects the files of a Compose project: the Compose file, and those that Compose would read for it.

A Compose file may come from anywhere, and Compose reads each file that it names, also by git, https and a registry, with
the rights of the controller. So every name is resolved and read here: only regular files in the directory of the Compose
file, also behind links. Compose gets copies of these in a directory of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Final, TypeAlias

from reconciler.api.errors import ManifestError, Problem
from reconciler.core.compose.shape import escaped
from reconciler.core.compose.source_text import Reference, SourceError, SourceText, What, read_source

MAX_FILES: Final = 64
MAX_FILE: Final = 2**20
MAX_TOTAL: Final = 4 * 2**20

ENV: Final = ".env"

Expand: TypeAlias = Callable[[Mapping[str, bytes], Sequence[str]], Sequence[str]]
"""Resolves variables in names of files as Compose does, with these files beside the Compose file."""

Stamp: TypeAlias = tuple[int, int, int, int] | None

_REMOTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://|git@|oci:|github\.com/", re.IGNORECASE)
_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*[=:]\s*(.*?)\s*\Z")
_TELLING_NAME: Final = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH", re.IGNORECASE)


@dataclass
class ProjectFiles:
    """The files of one project, by their paths in its directory; `main` is the Compose file.

    `sources` are those that are Compose files themselves. `stamps` tell whether any of them has changed since. `secrets`
    are values in files of variables that have the name of a secret.
    """

    directory: Path
    main: str
    contents: dict[str, bytes] = field(default_factory=dict)
    sources: dict[str, SourceText] = field(default_factory=dict)
    stamps: dict[Path, Stamp] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def text_of(self, name: str) -> bytes:
        """What Compose gets for this file."""
        source = self.sources.get(name)
        return source.text().encode() if source else self.contents[name]

    def written(self, steps: Sequence[str]) -> tuple[Path, int]:
        """File and line of a value; the Compose file and 0 when no file has it."""
        for name, source in self.sources.items():
            if line := source.line_of(steps):
                return self.directory / name, line
        return self.directory / self.main, 0


def stamp(path: Path) -> Stamp:
    """What tells two versions of a file apart; None for one that is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def collect(directory: Path, main: str, expand: Expand, stage: Path) -> ProjectFiles:
    """Read the Compose file `main` of a directory and what it names. The names become those of copies below `stage`.

    Raises ManifestError with file and line.
    """
    return _Collector(ProjectFiles(directory, main), expand, stage).collect()


def collect_inline(text: str, name: Path) -> ProjectFiles:
    """The same for a text, which names no files. Raises ManifestError; `name` stands for the file in its messages."""
    files = ProjectFiles(name.parent, name.name)
    source = _parsed(text, name)
    if source.references:
        first = source.references[0]
        raise _problem(
            name,
            first.line,
            f"{first.place}: a Compose file in a manifest names no other file",
            "use spec.compose.file",
        )
    files.sources[files.main] = source
    return files


@dataclass
class _Collector:
    files: ProjectFiles
    expand: Expand
    stage: Path
    _real: str = ""
    _total: int = 0
    _named: dict[int, str] = field(default_factory=dict)
    _bases: dict[str, str] = field(default_factory=dict)

    def collect(self) -> ProjectFiles:
        self._real = os.path.realpath(self.files.directory)
        self._read(ENV, self.files.main, 0, required=False)
        self._source(self.files.main, self.files.main, 0, base="", expands=True)
        return self.files

    def _source(self, name: str, by: str, line: int, *, base: str, expands: bool) -> None:
        """Read a Compose file; its references are relative to `base`."""
        path = self.files.directory / name
        if name in self.files.sources:
            if self._bases[name] != base and self.files.sources[name].references:
                raise _problem(
                    self.files.directory / by,
                    line,
                    f"{path} is read for two directories, {base or '.'} and "
                    f"{self._bases[name] or '.'}, in which its names mean different files",
                    "make two files of it",
                )
            return
        self._bases[name] = base
        self._read(name, by, line, required=True)
        try:
            text = self.files.contents[name].decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _problem(path, 0, "is not UTF-8", "save it as UTF-8") from None
        self.files.sources[name] = source = _parsed(text, path)
        texts = self._expanded(source.references, path, expands=expands)
        groups: dict[int, list[tuple[Reference, str]]] = {}
        for reference, written in zip(source.references, texts, strict=True):
            if reference.group >= 0:
                groups.setdefault(reference.group, []).append((reference, written))
                continue
            target = self._target(reference, written, name, base)
            if reference.what is What.EXTENDED:
                self._source(target, name, reference.line, base=_around(target), expands=expands)
            else:
                self._read(target, name, reference.line, required=reference.required, variables=True)
        for group in groups.values():
            self._include(group, name, base)

    def _include(self, group: Sequence[tuple[Reference, str]], name: str, base: str) -> None:
        targets = [(each, self._target(each, written, name, base)) for each, written in group]
        included = [(each, target) for each, target in targets if each.what is What.INCLUDED]
        own = [target for each, target in targets if each.what is What.DIRECTORY]
        variables = [(each, target) for each, target in targets if each.what is What.VARIABLES]
        if not included:
            return
        directory = own[0] if own else _around(included[0][1])
        for each, target in variables:
            self._read(target, name, each.line, required=True, variables=True)
        if not variables:
            default = os.path.normpath(Path(directory, ENV))
            self._read(default, name, included[0][0].line, required=False, variables=True)
        for each, target in included:
            # Variables of an included file may have values of its own, which are not known here.
            self._source(target, name, each.line, base=directory, expands=False)

    def _expanded(self, references: Sequence[Reference], path: Path, *, expands: bool) -> list[str]:
        written = [each.text for each in references]
        if not any("$" in text for text in written):
            return written
        if not expands:
            first = next(each for each in references if "$" in each.text)
            raise _problem(
                path,
                first.line,
                f"{first.place}: an included file names this file by a variable",
                "write its path",
            )
        return list(self.expand({ENV: self.files.contents.get(ENV, b"")}, written))

    def _target(self, reference: Reference, written: str, name: str, base: str) -> str:
        """The path in the directory that a reference leads to; the reference gets the one of its copy."""
        path, what = self.files.directory / name, f"{reference.place}: {reference.text!r}"
        if _REMOTE.match(written):
            raise _problem(
                path,
                reference.line,
                f"{what} is not on this machine, and is not fetched",
                "copy the file beside this one",
            )
        absolute = os.path.normpath(Path(self.files.directory, base, written))
        target = os.path.relpath(absolute, self.files.directory)
        if not written or target == os.pardir or target.startswith(f"{os.pardir}/") or "\0" in written:
            raise _problem(
                path,
                reference.line,
                f"{what} is outside of {self.files.directory}",
                "put the Compose file into a directory around both, or copy what it names",
            )
        copy = str(self.stage / target)
        if self._named.setdefault(id(reference.node), copy) != copy:
            raise _problem(path, reference.line, f"{what} stands for two files", "write both paths out")
        reference.rename(copy)
        return target

    def _read(self, name: str, by: str, line: int, *, required: bool, variables: bool = False) -> None:
        path, place = self.files.directory / name, self.files.directory / by
        self.files.stamps[path] = stamp(path)
        if name in self.files.contents:
            return
        try:
            # A commit of a repository is switched as a whole, by a link in this path.
            content = _content(Path(self._real, name), self._real)
        except FileNotFoundError:
            if required:
                raise _problem(place, line, f"{path} does not exist", "check the path") from None
            return
        except _OutsideError:
            raise _problem(
                place,
                line,
                f"{path} is a link that leads out of {self.files.directory}",
                "copy what it leads to",
            ) from None
        except (OSError, ValueError) as error:
            reason = (
                error.strerror if isinstance(error, OSError) and error.strerror else "it is no regular file"
            )
            raise _problem(
                place, line, f"{path} cannot be read: {reason}", "check the path and its permissions"
            ) from None
        self._total += len(content)
        if len(content) > MAX_FILE or self._total > MAX_TOTAL or len(self.files.contents) >= MAX_FILES:
            limits = f"{MAX_FILE // 2**20} MiB each, {MAX_TOTAL // 2**20} MiB and {MAX_FILES} files in all"
            raise _problem(
                place, line, f"{path} is more than Compose gets: {limits}", "make the files smaller"
            )
        self.files.contents[name] = content
        if variables or name == ENV:
            self.files.secrets.update(_secrets(content))


def content_below(path: Path, directory: Path) -> bytes | None:
    """The content of a regular file of moderate size in a directory, also behind links; None for anything else."""
    try:
        content = _content(path, os.path.realpath(directory))
    except (OSError, ValueError, _OutsideError):
        return None
    return content if len(content) <= MAX_FILE else None


class _OutsideError(Exception):
    """A path leads out of the directory."""


def _content(path: Path, root: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        # What was opened, and not what the name leads to by now.
        try:
            real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        except OSError:
            real = os.path.realpath(path)
        if not real.startswith(f"{root.rstrip('/')}/"):
            raise _OutsideError
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError
        return file.read(MAX_FILE + 1)


def _around(name: str) -> str:
    """The directory of a file, as a path in that of the project; empty for that itself."""
    directory = str(Path(name).parent)
    return "" if directory == "." else directory


def _parsed(text: str, path: Path) -> SourceText:
    try:
        return read_source(text)
    except SourceError as error:
        raise _problem(path, error.line, error.message, "docker compose config shows more") from None


def _secrets(content: bytes) -> Iterator[str]:
    for line in content.decode("utf-8", "replace").splitlines():
        if (found := _ASSIGNMENT.match(line)) and _TELLING_NAME.search(found[1]):
            yield found[2].strip("'\"")


def _problem(path: Path, line: int, message: str, suggestion: str) -> ManifestError:
    return ManifestError([Problem(path, line, 1 if line else 0, "", escaped(message), suggestion)])
