"""A repository for tests: a bare one that is served, and a working copy that pushes to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS = 30

PERSON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def sh(*command: str, cwd: Path, **environ: str) -> str:
    """Run a command as the user of the repository."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**PERSON, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def manifest(name: str, spec: str = "") -> str:
    """A VaultService with its own port."""
    port = 8000 + sum(name.encode())
    return (
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
        f"metadata: {{name: {name}}}\nspec: {{plugin: whoami, ports: {{http: {port}}}{spec}}}\n"
    )


@dataclass
class Repository:
    """A bare repository `bare` and a working copy `work` that pushes to it."""

    bare: Path
    work: Path

    def commit(self, files: Mapping[str, str | None], *options: str) -> str:
        """Write or remove files, commit and push; returns the commit."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.git("add", "--all")
        self.git(
            "-c", "gpg.format=ssh", "commit", "--quiet", "--allow-empty", "--message", "A change", *options
        )
        self.push()
        return self.git("rev-parse", "HEAD")

    def push(self) -> None:
        self.git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")

    def git(self, *arguments: str) -> str:
        return sh("git", *arguments, cwd=self.work)


def made_in(directory: Path) -> Repository:
    """A new one below a directory, without a commit."""
    made = Repository(directory / "infra.git", directory / "work")
    sh("git", "init", "--quiet", "--bare", "--initial-branch=main", str(made.bare), cwd=directory)
    sh("git", "clone", "--quiet", str(made.bare), str(made.work), cwd=directory)
    return made


class Signing:
    """SSH keys by name, created on first use."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory

    def options(self, name: str) -> tuple[str, ...]:
        """The git settings that sign a commit with the key of that name."""
        key = self._directory / name
        if not key.exists():
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), cwd=self._directory)
        return (f"--gpg-sign={key}",)

    def allow(self, *names: str) -> Path:
        """An allowed-signers file with the keys of these names."""
        lines = []
        for name in names:
            self.options(name)
            lines.append(f"{name}@example.com {(self._directory / f'{name}.pub').read_text()}")
        path = self._directory / "allowed"
        path.write_text("".join(lines))
        return path
