"""A shallow clone in the state directory, and the files of one commit, which can be read at any time.

    repository/       bare, one commit deep
    trees/SHA.xxxx/   the files of a commit, written once and never changed
    current           a link to one of them, switched atomically

A pass may read a settings file while a new commit arrives. It sees the whole old commit or the whole new one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from reconciler.sources.git.address import Address
from reconciler.sources.git.command import Git, GitError, GitTimeoutError, TooLargeError

CURRENT: Final = "current"
FETCH_SECONDS: Final = 60.0
CLONE_SECONDS: Final = 300.0
EXPORT_SECONDS: Final = 120.0

LARGEST_PACK: Final = 512 * 1024 * 1024
"""Maximum bytes of a fetch, and of the files of a commit."""

MOST_FILES: Final = 50_000
ADVICE: Final = "keep manifests in a repository of their own"
DEPTHS: Final = (50, 1000, 20_000)
"""Depths of successive fetches that look for the current commit among the ancestors of the newest one."""


class Clone:
    """The clone of one address in `directory`. One thread at a time."""

    def __init__(self, address: Address, directory: Path, git: Git) -> None:
        self._address = address
        self._directory = directory
        self._git = git
        self._trees = directory / "trees"
        self.repository = directory / "repository"
        self.current = directory / CURRENT

    @property
    def commit(self) -> str:
        """The commit of `current`, or an empty text if there is none yet."""
        if not self.current.is_dir():
            return ""
        return self.current.readlink().name.partition(".")[0]

    def fetch(self) -> str:
        """Fetch the newest commit of the branch and return its hash. Raises GitError.

        A damaged clone is replaced, and so is one that cannot fetch after a force-push.
        """
        with _disk_errors():
            self._trees.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
        if not (self.repository / "HEAD").is_file():
            return self.renew()
        try:
            commit = self._fetch_into(self.repository, FETCH_SECONDS)
            # git keeps objects of earlier fetches for weeks, and they add up.
            return commit if _size(self.repository) <= LARGEST_PACK else self.renew()
        except (GitTimeoutError, TooLargeError):
            raise
        except GitError as error:
            # If a new clone works, the old clone was broken; otherwise the server is.
            try:
                return self.renew()
            except GitError:
                raise error from None

    def renew(self) -> str:
        """Make a new clone and replace the old one by it. Raises GitError, and then nothing has changed."""
        beside = self._directory / "repository.new"
        with _disk_errors():
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            self._git.run("init", "--quiet", "--bare", "--template=", cwd=beside)
            commit = self._fetch_into(beside, CLONE_SECONDS)
            shutil.rmtree(self.repository, ignore_errors=True)
            beside.rename(self.repository)
        return commit

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether a fetched commit is a descendant of another one, within DEPTHS. Raises GitError."""
        for depth in DEPTHS:
            known = self._git.attempt("merge-base", "--is-ancestor", ancestor, commit, cwd=self.repository)[0]
            if known == 0:
                return True
            before = self._history(commit)
            self._fetch_into(self.repository, FETCH_SECONDS, depth)
            if self._history(commit) == before:
                break
        return self._git.attempt("merge-base", "--is-ancestor", ancestor, commit, cwd=self.repository)[0] == 0

    def _history(self, commit: str) -> str:
        return self._git.run("rev-list", "--count", commit, cwd=self.repository)

    def publish(self, commit: str) -> None:
        """Switch `current` to the files of that commit. Raises GitError, and then it is unchanged."""
        with _disk_errors():
            self._measure(commit)
            tree = Path(tempfile.mkdtemp(prefix=f"{commit}.", dir=self._trees))
            try:
                self._export(commit, tree)
                link = self._directory / f"{CURRENT}.new"
                link.unlink(missing_ok=True)
                link.symlink_to(tree.relative_to(self._directory))
                before = self.current.resolve()
                link.replace(self.current)
            except BaseException:
                shutil.rmtree(tree, ignore_errors=True)
                raise
            # A pass may still read the previous tree, but not older ones.
            for old in self._trees.iterdir():
                if old not in (tree, self._trees.resolve() / before.name, self._trees / before.name):
                    shutil.rmtree(old, ignore_errors=True)

    def _measure(self, commit: str) -> None:
        """Raises TooLargeError for more or larger files than the limits. A tree that contains the same subtree many times
        is small in the repository but huge on disk, so reading of its list stops at the limit.
        """
        sizes = self._git.head(
            *("ls-tree", "-r", "-l", "-z", "--full-tree", commit),
            cwd=self.repository,
            timeout=EXPORT_SECONDS,
            records=MOST_FILES + 1,
        )
        if len(sizes) > MOST_FILES:
            raise TooLargeError(f"{commit[:12]} has more than {MOST_FILES} files; {ADVICE}")
        total = sum(int(size) for line in sizes if (size := line.split("\t")[0].split()[-1]).isdecimal())
        if total > LARGEST_PACK:
            raise TooLargeError(f"{commit[:12]} has files of more than {LARGEST_PACK >> 20} MiB; {ADVICE}")

    def _fetch_into(self, repository: Path, timeout: float, depth: int = 1) -> str:
        branch = f"refs/heads/{self._address.branch}"
        self._git.run(
            "fetch",
            "--quiet",
            f"--depth={depth}",
            "--no-tags",
            "--force",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            self._address.url,
            f"+{branch}:{branch}",
            cwd=repository,
            timeout=timeout,
            largest_file=LARGEST_PACK,
        )
        return self._git.run("rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}", cwd=repository)

    def _export(self, commit: str, tree: Path) -> None:
        index = self._trees / f".{tree.name}.index"
        place = (f"--git-dir={self.repository}", f"--work-tree={tree}")
        environ = {"GIT_INDEX_FILE": str(index)}
        try:
            self._git.run(*place, "read-tree", commit, cwd=tree, timeout=EXPORT_SECONDS, environ=environ)
            self._git.run(
                *place,
                "checkout-index",
                "--all",
                "--quiet",
                cwd=tree,
                timeout=EXPORT_SECONDS,
                environ=environ,
            )
        finally:
            with suppress(OSError):
                index.unlink(missing_ok=True)


def _size(directory: Path) -> int:
    """Bytes of all files below a directory that still exist."""
    total = 0
    for path in directory.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GitError(f"{error.filename}: {error.strerror}") from error
