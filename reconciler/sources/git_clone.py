"""A shallow clone in the state directory, and the files of one commit that others may read at any time.

    repository/       bare, one commit deep
    trees/SHA.xxxx/   the files of a commit, written once and never changed
    current           a link to one of them, switched in one step

A pass may read a settings file while a new commit arrives. It sees all of the old commit or all of the new one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from reconciler.sources.git_address import Address
from reconciler.sources.git_command import Git, GitError, GitTimeoutError

CURRENT: Final = "current"
FETCH_SECONDS: Final = 60.0
CLONE_SECONDS: Final = 300.0
EXPORT_SECONDS: Final = 120.0


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
        """The commit whose files are to be read, or nothing when there is none yet."""
        if not self.current.is_dir():
            return ""
        return self.current.readlink().name.partition(".")[0]

    def fetch(self) -> str:
        """Get the newest commit of the branch and return its name. Raises GitError.

        A clone that is damaged is replaced; so is one that cannot follow what a force-push left behind.
        """
        with _disk_errors():
            self._trees.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
        if not (self.repository / "HEAD").is_file():
            return self.renew()
        try:
            return self._fetch_into(self.repository, FETCH_SECONDS)
        except GitTimeoutError:
            raise
        except GitError as error:
            # Which of the two is broken, clone or server? What works for a new clone is the clone's fault.
            try:
                return self.renew()
            except GitError:
                raise error from None

    def renew(self) -> str:
        """Clone beside, then take the old clone's place. Raises GitError, and then nothing has changed."""
        beside = self._directory / "repository.new"
        with _disk_errors():
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            self._git.run("init", "--quiet", "--bare", "--template=", cwd=beside)
            commit = self._fetch_into(beside, CLONE_SECONDS)
            shutil.rmtree(self.repository, ignore_errors=True)
            beside.rename(self.repository)
        return commit

    def publish(self, commit: str) -> None:
        """Let `current` be the files of that commit. Raises GitError, and then it is what it was."""
        with _disk_errors():
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
            # Somebody may be reading the tree before this one; nobody is any more in those before it.
            for old in self._trees.iterdir():
                if old not in (tree, self._trees.resolve() / before.name, self._trees / before.name):
                    shutil.rmtree(old, ignore_errors=True)

    def _fetch_into(self, repository: Path, timeout: float) -> str:
        branch = f"refs/heads/{self._address.branch}"
        self._git.run(
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--force",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            self._address.url,
            f"+{branch}:{branch}",
            cwd=repository,
            timeout=timeout,
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


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GitError(f"{error.filename}: {error.strerror}") from error
