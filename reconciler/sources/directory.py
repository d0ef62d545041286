"""Manifests in a directory or a single file, watched by the kernel.

A yield of `watch` means "what is on disk differs from what `load` last saw", found by comparing stamps of all
files. Kernel events only say when to compare, so it does not matter how an editor saves, which link a volume
switches, or what happens while nobody looks.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from reconciler.api import Manifest, Problem, survey
from reconciler.api.manifest import SUFFIXES
from reconciler.sources.base import Loaded

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

POLL: Final = 1.0
"""Seconds between looks without an event: for what the kernel does not report, such as a directory that is missing."""

STEP_MS: Final = 30
DEBOUNCE_MS: Final = 100
"""A save is often several events: wait until STEP_MS pass without one, but not longer than DEBOUNCE_MS. The library wakes
once in STEP_MS to look for what inotify has told it, and a shorter one is most of what a controller costs at rest."""

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
"""Time of change in nanoseconds, size and inode of a file, or None if there is none."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The manifest files with their stamps, and the directories (with inodes) that had to be read to find them."""

    files: Mapping[Path, Stamp]
    directories: Mapping[Path, int]
    sound: bool


class DirectorySource:
    """All *.yaml and *.yml files below a directory, without hidden ones; or one file.

    The files that `envFrom` names are watched as well, wherever they are, but not read.
    """

    kind: Final[Literal["directory"]] = "directory"

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._seen: Mapping[Path, Stamp] | None = None
        self._env_files: frozenset[Path] = frozenset()

    @property
    def place(self) -> str:
        """The absolute path."""
        return str(self._path)

    def load(self) -> Loaded:
        """Read everything. Incomplete if something is wrong or was written meanwhile."""
        before = self._look()
        found = survey(self._path)
        problems = [problem for problem in found.problems if not self._is_only_empty(problem, before)]
        problems += _emptied(before.files)
        self._env_files = frozenset(_env_files(found.manifests))
        # Settings are read by whoever is told of this load, so later than their stamps are taken here.
        self._seen = {**before.files, **_stamps(self._env_files)}
        complete = not problems and before.files == self._look().files
        return Loaded(found.manifests, tuple(sorted(problems)), complete)

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yield whenever the files are others than at the last `load`, until `stop` is set."""
        while not stop.is_set():
            directories = self._directories()
            with _notifier(directories) as notifier:
                events: Collection[Path] = ()
                while not stop.is_set():
                    # Stamps are coarse: two saves within one tick of the kernel's clock are told apart by the event.
                    if self._stamps() != self._seen or not self._seen.keys().isdisjoint(events):
                        yield
                    if self._directories() != directories or not directories.keys().isdisjoint(events):
                        break
                    events = _wait(notifier, stop)

    def _look(self) -> _Look:
        if not self._path.is_dir():
            return _Look(_stamps([self._path]), {}, sound=True)
        files: list[Path] = []
        directories: dict[Path, int] = {}
        errors: list[OSError] = []
        for parent, subdirectories, names in os.walk(self._path, onerror=errors.append):
            subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
            directories |= _inodes([Path(parent)])
            files += [
                Path(parent, name)
                for name in names
                if not name.startswith(".") and Path(name).suffix in SUFFIXES
            ]
        return _Look(_stamps(files), directories, sound=not errors)

    def _stamps(self) -> Mapping[Path, Stamp]:
        return {**self._look().files, **_stamps(self._env_files)}

    def _directories(self) -> Mapping[Path, int]:
        beside = {path.parent for path in self._env_files}
        if not self._path.is_dir():
            beside.add(self._path.parent)
        return {**self._look().directories, **_inodes(beside)}

    def _is_only_empty(self, problem: Problem, look: _Look) -> bool:
        # To read a directory without any VaultService is no mistake here. Whether that may delete those that were
        # there before is for the reader to decide.
        return problem.path == self._path and self._path.is_dir() and look.sound


def _emptied(files: Mapping[Path, Stamp]) -> Iterator[Problem]:
    for path, stamp in files.items():
        if stamp is not None and stamp[1] == 0:
            # Many programs save by emptying a file first; this must not look like a deletion.
            yield Problem(path, 0, 0, "", "is empty", "remove the file if its services are to be deleted")


def _env_files(manifests: Iterable[Manifest]) -> Iterator[Path]:
    for manifest in manifests:
        for each in manifest.service.spec.env_from:
            yield (manifest.path.parent / each.file).absolute()


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


def _notifier(directories: Iterable[Path]) -> AbstractContextManager[RustNotify | None]:
    # Late: it takes longer to import than most commands take to run.
    from watchfiles._rust_notify import RustNotify

    paths = [str(directory) for directory in directories]
    try:
        # Not recursive: settings may lie in a directory such as /etc, and hidden directories can be huge.
        return RustNotify(paths, False, False, 0, False, True) if paths else nullcontext()
    except (OSError, RuntimeError) as error:
        # A directory just went away, or the kernel has no watches left: looking every POLL seconds still works.
        log.info("looking for changes every %g s, as the kernel cannot report them: %s", POLL, error)
        return nullcontext()


def _wait(notifier: RustNotify | None, stop: threading.Event) -> Collection[Path]:
    if notifier is None:
        stop.wait(POLL)
        return ()
    events = notifier.watch(DEBOUNCE_MS, STEP_MS, int(POLL * 1000), stop)
    if events == "signal":
        raise KeyboardInterrupt
    return () if isinstance(events, str) else {Path(path) for _, path in events}
