"""Manifests in a branch of a Git repository: polled, and fetched at once after a webhook.

The source always uses a complete commit, with a checked signature if required. If the newest commit cannot be fetched or
is not trusted, the last good one stays in use, and `Loaded.setback` says why.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from reconciler.api import Manifest, Problem
from reconciler.api.kinds import Ref
from reconciler.api.reasons import Reason
from reconciler.api.text_file import MAX_BYTES
from reconciler.sources.base import Fetch, Loaded, Setback
from reconciler.sources.directory import DirectorySource
from reconciler.sources.git.address import Address
from reconciler.sources.git.clone import Clone
from reconciler.sources.git.command import Git, GitError, RefusedError
from reconciler.sources.git.trust import RewoundError, Trust

MIN_GAP: Final = 1.0
"""Minimum seconds between two fetches, so that many pushes in a row cause few fetches."""

EARLY: Final = 0.1
"""Fraction of the interval by which a poll may be early, so that many controllers do not poll at the same time."""

STOP_SECONDS: Final = 0.2
"""Seconds between two checks of `stop` during a wait."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The state whose change makes a load differ from the last one."""

    commit: str
    setback: Setback | None
    files: Mapping[Ref, str]


class GitSource:
    """A directory in a branch. `interval` is in seconds; settings files outside of it must be below `secrets`.

    `observe` is called after every fetch, in the thread of `watch`; it must not raise.
    """

    kind: Final[Literal["git"]] = "git"

    def __init__(
        self,
        address: Address,
        state_dir: Path,
        git: Git,
        *,
        interval: float,
        chance: random.Random,
        trust: Trust | None = None,
        allow_rewind: bool = False,
        secrets: tuple[Path, ...] = (),
        observe: Callable[[Fetch], None] = lambda fetch: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._git = git
        self._clone = Clone(address, state_dir.absolute() / "git" / address.digest, git)
        self._interval = interval
        self._chance = chance
        self._trust = trust
        self._allow_rewind = allow_rewind
        self._secrets = tuple(_lexical(each) for each in secrets)
        self._observe = observe
        self._clock = clock
        self._poked = threading.Event()
        self._published = ""
        self._setback: Setback | None = None
        self._fetched_at: float | None = None
        self._seen: _Seen | None = None
        self._manifests: tuple[Manifest, ...] = ()
        self.held: Loaded | None = None
        """The last result of `load`."""
        self.signer = ""
        """Who signed the commit that is used, if signatures are checked."""

    @property
    def place(self) -> str:
        """The URL without credentials, the branch and the path."""
        return self.address.place

    def poke(self) -> None:
        """Fetch now, because of a push. Any thread may call this, at any rate."""
        self._poked.set()

    def load(self) -> Loaded:
        """The manifests of the newest commit that was fetched and is trusted."""
        if self._fetched_at is None:
            self.look()
        commit, setback, before = self._clone.commit, self._setback, self._seen
        problems: list[Problem] = []
        if setback is not None:
            problems.append(Problem(self._clone.current, 0, 0, "", setback.message))
        loaded = Loaded((), (), complete=False)
        if commit:
            directory = self._clone.current / self.address.path
            loaded = _confined(
                DirectorySource(directory, is_settled=True).load(), self._clone.current, self._secrets
            )
        self._manifests = loaded.manifests
        self._seen = _Seen(commit, setback, self._settings())
        self.held = replace(
            loaded,
            problems=tuple(sorted((*loaded.problems, *problems))),
            complete=loaded.complete and not problems,
            commit=f"{self.address.branch}@sha1:{commit}" if commit else "",
            touched=_differing(before.files, self._seen.files) if before else None,
            setback=setback,
        )
        return self.held

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yield whenever the commit, the setback or a settings file has changed."""
        while not stop.is_set():
            if self._seen != _Seen(self._clone.commit, self._setback, self._settings()):
                yield
            self._wait(stop)
            if not stop.is_set():
                self.look()

    def look(self) -> None:
        """Fetch, and use the new commit if it is trusted. Never raises; to be called only in the thread of `watch`."""
        # Cleared first: this fetch may miss a push from here on, so another fetch has to follow.
        self._poked.clear()
        started = self._clock()
        before = (self._clone.commit, self._setback)
        try:
            self._advance()
            self._setback = None
        except RefusedError as error:
            self._setback = Setback(error.reason, self._goes_on(f"{self.place}: {error}"))
        except GitError as error:
            self._setback = Setback(Reason.FETCH_FAILED, self._goes_on(f"cannot fetch {self.place}: {error}"))
        self._fetched_at = self._clock()
        news = before != (self._clone.commit, self._setback)
        if news:
            level = logging.WARNING if self._setback else logging.INFO
            what = self._setback.message if self._setback else f"{self.place} is at {self._clone.commit}"
            _log.log(level, "%s", what)
        self._observe(Fetch(self._fetched_at - started, self._clone.commit, self._setback, news))

    def _wait(self, stop: threading.Event) -> None:
        """Wait until the next fetch is due, or a push."""
        last = self._fetched_at if self._fetched_at is not None else self._clock()
        due = last + self._interval * (1 - self._chance.uniform(0, EARLY))
        while not stop.is_set() and (left := due - self._clock()) > 0:
            if self._poked.wait(min(left, STOP_SECONDS)):
                stop.wait(max(0.0, last + MIN_GAP - self._clock()))
                return

    def _advance(self) -> None:
        """Make the newest commit the current one. Raises GitError, and then the last good one stays."""
        commit = self._clone.fetch()
        if commit == self._published and self._clone.commit == commit:
            return
        try:
            self._take(commit)
        except RefusedError:
            raise
        except GitError:
            # Objects of the clone can be damaged although it lists them: only a new clone is sure to have them.
            self._take(self._clone.renew())

    def _take(self, commit: str) -> None:
        signer = ""
        if self._trust is not None:
            signer = self._trust.check(self._git, self._clone.repository, commit)
            _log.info("%s is signed by %s", commit, signer)
            self._check_order(commit)
        self._clone.publish(commit)
        self._published, self.signer = commit, signer

    def _check_order(self, commit: str) -> None:
        """Raises RewoundError for a commit that does not follow the current one: an old signed commit may be unwanted."""
        served = self._clone.commit
        if not served or commit == served or self._allow_rewind or self._clone.descends(commit, served):
            return
        raise RewoundError(
            f"{commit[:12]} does not follow {served[:12]}: the branch was set back or its history was replaced; "
            "push a commit that follows, such as git revert makes, or start with --allow-rewind"
        )

    def _goes_on(self, problem: str) -> str:
        commit = self._clone.commit
        return f"{problem}; still using {commit[:12]}" if commit else problem

    def _settings(self) -> Mapping[Ref, str]:
        """A digest of the settings files of each resource."""
        return {each.resource.ref: _digest(each.resource.settings_files.values()) for each in self._manifests}


def _confined(loaded: Loaded, checkout: Path, secrets: tuple[Path, ...]) -> Loaded:
    """Drop manifests with settings files that a push must not be able to read; paths become absolute."""
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for manifest in loaded.manifests:
        named = manifest.resource.settings_files
        files = {field: _lexical(manifest.path.parent / file) for field, file in named.items()}
        outside = [
            Problem(
                manifest.path,
                manifest.line,
                1,
                field,
                "is outside of the repository",
                "use a path in the repository, or a file in a directory given with --secrets-dir",
            )
            for field, file in files.items()
            if not any(file.is_relative_to(each) for each in (checkout, *secrets))
        ]
        problems += outside
        if not outside:
            resource = manifest.resource.with_settings_files(tuple(map(str, files.values())))
            manifests.append(replace(manifest, resource=resource))
    complete = loaded.complete and not problems
    return replace(
        loaded, manifests=tuple(manifests), problems=(*loaded.problems, *problems), complete=complete
    )


def _lexical(path: Path) -> Path:
    """Resolve `..` but not links: a checkout has none, and links in the secrets directory are set by its owner."""
    return Path(os.path.normpath(path.absolute()))


def _digest(paths: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            content = str(error.errno).encode()
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def _differing(before: Mapping[Ref, str], after: Mapping[Ref, str]) -> frozenset[Ref]:
    return frozenset(ref for ref, digest in after.items() if before.get(ref) != digest)
