"""A user's working copy, in which a change of `vaultctl` becomes a commit of that user.

The user's configuration, identity and hooks apply. Uncommitted changes are an error before anything is written, so that a
commit holds only the one change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from reconciler.api import PermanentError
from reconciler.sources.git.address import Address, parse_address
from reconciler.sources.git.clone import CLONE_SECONDS, FETCH_SECONDS
from reconciler.sources.git.command import CONFIG, Credentials, Git, GitError


class WorkTree:
    """The working copy whose top directory is `root`."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root = root
        self._git = git

    @classmethod
    def around(cls, directory: Path, environ: Mapping[str, str]) -> WorkTree | None:
        """The working copy that a directory belongs to, if any."""
        git = Git(environ, config=())
        try:
            return cls(Path(git.run("rev-parse", "--show-toplevel", cwd=directory)), git)
        except GitError:
            return None

    @classmethod
    def clone(
        cls,
        address: Address,
        directory: Path,
        environ: Mapping[str, str],
        credentials: Credentials | None = None,
    ) -> WorkTree:
        """Clone the branch into `directory`, which must be empty, as the user or with `credentials`. Raises GitError."""
        # The controller's own clones run no program of a user's configuration.
        config = address.config() if credentials is None else (*CONFIG, *address.config())
        git = Git(environ, config=config, credentials=credentials, secrets=address.secrets)
        words = ("clone", "--quiet", "--depth=1", f"--branch={address.branch}", "--", address.url, ".")
        git.run(*words, cwd=directory, timeout=CLONE_SECONDS)
        return cls(directory, git)

    @classmethod
    def begin(cls, directory: Path, environ: Mapping[str, str]) -> WorkTree:
        """A new repository in this directory. Raises GitError."""
        git = Git(environ, config=())
        git.run("init", "--quiet", "--initial-branch=main", cwd=directory)
        return cls(directory, git)

    @property
    def branch(self) -> str:
        """The current branch. Raises PermanentError if HEAD is detached."""
        code, out, _ = self._git.attempt("symbolic-ref", "--quiet", "--short", "HEAD", cwd=self.root)
        if code:
            raise PermanentError(
                f"{self.root} is on no branch, so a commit would be lost; run: git switch BRANCH"
            )
        return out.strip()

    def is_of(self, address: Address) -> bool:
        """Whether this is the repository of that address, or a clone of it."""
        _, out, _ = self._git.attempt("config", "--get-regexp", r"^remote\..*\.url$", cwd=self.root)
        urls = [line.partition(" ")[2] for line in out.splitlines()]
        return any(_comparable(url) == _comparable(address.url) for url in (*urls, str(self.root)))

    def holds(self, path: Path) -> bool:
        """Whether a file is under version control."""
        return not self._git.attempt("ls-files", "--error-unmatch", "--", str(path), cwd=self.root)[0]

    def check(self, *, push: bool) -> None:
        """Raises PermanentError that says what to do if a commit, or a push, would include other changes."""
        branch = self.branch
        if changed := self._git.run("status", "--porcelain", "--untracked-files=no", cwd=self.root):
            first = changed.splitlines()[0][3:]
            raise PermanentError(
                f"{self.root} has changes that are not committed, such as {first}; commit or stash them first"
            )
        code, upstream, _ = self._git.attempt("rev-parse", "--abbrev-ref", "@{upstream}", cwd=self.root)
        if code:
            if push:
                raise PermanentError(
                    f"{branch} follows no branch of a remote; run: git push --set-upstream origin {branch}"
                )
            return
        if push:
            remote, _ = self._upstream(branch)
            self._git.run("fetch", "--quiet", "--", remote, cwd=self.root, timeout=FETCH_SECONDS)
        counts = self._git.run("rev-list", "--left-right", "--count", "HEAD...@{upstream}", cwd=self.root)
        ahead, behind = (int(count) for count in counts.split())
        if behind:
            how = f"has diverged from {upstream.strip()} ({ahead} and {behind} commits)"
            state = how if ahead else f"is {behind} commits behind {upstream.strip()}"
            raise PermanentError(f"{branch} {state}; run: git pull --rebase")

    def commit(self, path: Path, message: str) -> str:
        """Commit only this file and return the commit. Raises GitError with git's reason."""
        self._git.run("commit", "--quiet", f"--message={message}", "--only", "--", str(path), cwd=self.root)
        return self._git.run("rev-parse", "HEAD", cwd=self.root)

    def commit_new(self, paths: Sequence[Path], message: str) -> str:
        """Commit these files, which may be new, and nothing else; returns the short commit. Raises GitError."""
        names = [str(path) for path in paths]
        self._git.run("add", "--", *names, cwd=self.root)
        self._git.run("commit", "--quiet", f"--message={message}", "--only", "--", *names, cwd=self.root)
        return self._git.run("rev-parse", "--short", "HEAD", cwd=self.root)

    def push(self) -> None:
        """Push the branch to its upstream. Raises GitError."""
        remote, ref = self._upstream(self.branch)
        self._git.run("push", "--quiet", "--", remote, f"HEAD:{ref}", cwd=self.root, timeout=FETCH_SECONDS)

    def _upstream(self, branch: str) -> tuple[str, str]:
        """The remote and the upstream branch of a branch."""
        remote, ref = (
            self._git.run("config", "--get", f"branch.{branch}.{key}", cwd=self.root)
            for key in ("remote", "merge")
        )
        return remote, ref


def _comparable(url: str) -> PurePosixPath | str:
    """A URL in a form that can be compared."""
    try:
        shown = parse_address(url, "main").url
    except PermanentError:
        return url
    shown = shown.removeprefix("file://")
    return PurePosixPath(shown) if shown.startswith("/") else shown.rstrip("/").removesuffix(".git")
