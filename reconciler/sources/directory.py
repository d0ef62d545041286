"""Manifests in a directory or a single file, watched with inotify.

`watch` yields when the files on disk differ from those of the last `load`, by comparing the stamps of all files. inotify
events only say when to compare, so the way in which an editor saves, a volume that switches a link, and missed events do
not matter.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from reconciler.api import Manifest, Problem, ignore_file, survey
from reconciler.api.kinds import names_of_kinds
from reconciler.api.manifest_files import find
from reconciler.sources.base import Loaded
from reconciler.sources.kernel import kernel_of, wait

FRESH: Final = 10.0
"""Seconds in which an empty file may be in the middle of a save."""

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
"""Modification time in nanoseconds, size and inode of a file, or None if it does not exist."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The manifest files with their stamps, and the directories (with inodes) that were listed to find them."""

    files: Mapping[Path, Stamp]
    directories: Mapping[Path, int]
    sound: bool


class DirectorySource:
    """All *.yaml and *.yml files below a directory, without hidden ones; or one file.

    The files that `envFrom` names are watched too, wherever they are, but not read.
    """

    kind: Final[Literal["directory"]] = "directory"

    def __init__(self, path: Path, *, is_settled: bool = False) -> None:
        """`is_settled`: no program writes to the directory, so an empty file is not in the middle of a save."""
        self._path = path.absolute()
        self._is_settled = is_settled
        self._told: frozenset[Path] = frozenset()
        self._seen: Mapping[Path, Stamp] | None = None
        self._env_files: frozenset[Path] = frozenset()

    @property
    def place(self) -> str:
        """The absolute path."""
        return str(self._path)

    def load(self) -> Loaded:
        """Read everything. Incomplete if there is a mistake or a file was written meanwhile."""
        before = self._look()
        found = survey(self._path)
        problems = [problem for problem in found.problems if not self._is_only_empty(problem, before)]
        emptied = dict(_emptied(before.files))
        doubts = [*found.doubts, *emptied.values()]
        # Many programs truncate a file before they write it; this must not look like a deletion.
        if not self._is_settled:
            problems += [emptied[path] for path in emptied if self._is_fresh(path, before)]
        self._tell(found.foreign)
        self._env_files = frozenset(_env_files(found.manifests))
        # The caller reads the settings files after this load, so their stamps are taken before that.
        self._seen = {**before.files, **self._stamps_beside()}
        complete = not problems and before.files == self._look().files
        return Loaded(
            found.manifests,
            tuple(sorted(problems)),
            complete,
            foreign=found.foreign,
            doubts=tuple(sorted(doubts)),
        )

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yield whenever the files differ from those of the last `load`, until `stop` is set."""
        while not stop.is_set():
            directories = self._directories(self._look())
            with kernel_of(directories) as kernel:
                events: Collection[Path] = ()
                while not stop.is_set():
                    look = self._look()
                    # Stamps are coarse: only the event distinguishes two saves within one tick of the kernel's clock.
                    if self._stamps(look) != self._seen or not self._seen.keys().isdisjoint(events):
                        yield
                        look = self._look()
                    if self._directories(look) != directories or not directories.keys().isdisjoint(events):
                        break
                    events = wait(kernel, stop)

    def _look(self) -> _Look:
        if not self._path.is_dir():
            return _Look(_stamps([self._path]), {}, sound=True)
        found = find(self._path)
        return _Look(_stamps(found.files), _inodes(found.directories), sound=not found.problems)

    def _stamps(self, look: _Look) -> Mapping[Path, Stamp]:
        return {**look.files, **self._stamps_beside()}

    def _stamps_beside(self) -> Mapping[Path, Stamp]:
        """Stamps of files that are not manifests but affect what is read."""
        return _stamps([*self._env_files, self._path / ignore_file.NAME])

    def _is_fresh(self, path: Path, look: _Look) -> bool:
        stamp = look.files[path]
        if stamp is None or (self._seen is not None and self._seen.get(path) == stamp):
            return False
        return time.time() - stamp[0] / 1e9 < FRESH

    def _tell(self, foreign: Collection[Path]) -> None:
        """Log each skipped file once."""
        for path in sorted({*foreign} - self._told):
            log.info("%s is skipped: it holds documents that are no %s", path, names_of_kinds())
        self._told = frozenset(foreign)

    def _directories(self, look: _Look) -> Mapping[Path, int]:
        beside = {path.parent for path in self._env_files}
        if not self._path.is_dir():
            beside.add(self._path.parent)
        return {**look.directories, **_inodes(beside)}

    def _is_only_empty(self, problem: Problem, look: _Look) -> bool:
        # A directory without any VaultService is not a mistake here. The caller decides whether that may delete the
        # services that were in it before.
        return problem.path == self._path and self._path.is_dir() and look.sound


def _emptied(files: Mapping[Path, Stamp]) -> Iterator[tuple[Path, Problem]]:
    for path, stamp in files.items():
        if stamp is not None and stamp[1] == 0:
            yield (
                path,
                Problem(path, 0, 0, "", "is empty", "remove the file if its services are to be deleted"),
            )


def _env_files(manifests: Iterable[Manifest]) -> Iterator[Path]:
    for manifest in manifests:
        for file in manifest.resource.settings_files.values():
            yield (manifest.path.parent / file).absolute()


def _stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _inodes(directories: Iterable[Path]) -> dict[Path, int]:
    stamps = _stamps(directories)
    return {path: stamp[2] for path, stamp in stamps.items() if stamp is not None}
