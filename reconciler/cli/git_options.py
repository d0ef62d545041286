"""The options of `vaultctl run` about a Git repository, collected into one value."""

from __future__ import annotations

import functools
import stat
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure

__all__ = ["GitFlags", "git_options", "read_secret"]

MIN_SECRET: Final = 8
"""Characters; a shorter webhook secret is probably a mistake, such as an empty file."""

_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_DIRECTORY: Final = click.Path(path_type=Path, exists=True, file_okay=False)


@dataclass(frozen=True)
class GitFlags:
    """The values of the options; `interval` is in seconds."""

    git_url: str | None
    branch: str
    path: str
    interval: float
    git_credentials: Path | None
    ssh_key: Path | None
    known_hosts: Path | None
    webhook_secret_file: Path | None
    verify_signatures: bool
    allow_rewind: bool
    allowed_signers: Path | None
    gpg_home: Path | None
    secrets_dirs: tuple[Path, ...]
    push_images: bool
    commit_status_url: str | None
    commit_status_token_file: Path | None
    commit_status_name: str

    def check(self) -> None:
        """Raises click.UsageError for options that make sense only together."""
        if self.verify_signatures != bool(self.allowed_signers or self.gpg_home):
            raise click.UsageError(
                "--verify-signatures needs --allowed-signers or --gpg-home, and they need --verify-signatures"
            )
        if self.git_url is None and (self.webhook_secret_file or self.verify_signatures):
            raise click.UsageError("--webhook-secret-file and --verify-signatures need --git")
        if self.push_images and self.git_url is None:
            raise click.UsageError("--push-images needs --git; elsewhere manifests are edited without it")
        if self.push_images and self.verify_signatures:
            raise click.UsageError(
                "--push-images makes commits without a signature, which --verify-signatures would refuse; leave one out"
            )
        if self.allow_rewind and not self.verify_signatures:
            raise click.UsageError("--allow-rewind needs --verify-signatures")
        if bool(self.commit_status_url) != bool(self.commit_status_token_file):
            raise click.UsageError("--commit-status-url and --commit-status-token-file belong together")
        if self.git_url is None and self.commit_status_url:
            raise click.UsageError("--commit-status-url needs --git")


_OPTIONS: Final = (
    click.option(
        "--git",
        "git_url",
        envvar="VAULT_GIT_URL",
        show_envvar=True,
        help="Follow a branch of this repository: https://, ssh://, file:// or a path.",
    ),
    click.option("--branch", default="main", show_default=True, help="The branch of --git."),
    click.option(
        "--path", default="", help="The directory of --git with the manifests. Default: the whole repository."
    ),
    click.option(
        "--interval", type=DURATION, default="30s", show_default=True, help="How often to fetch --git."
    ),
    click.option("--git-credentials", type=_FILE, help="Lines of https://USER:TOKEN@HOST for --git."),
    click.option("--ssh-key", type=_FILE, help="Private key for --git."),
    click.option("--known-hosts", type=_FILE, help="The only hosts that ssh may connect to."),
    click.option(
        "--webhook-secret-file",
        type=_FILE,
        help="Serve /hooks/git for GitHub, Gitea, Forgejo and GitLab webhooks with this secret.",
    ),
    click.option("--verify-signatures", is_flag=True, help="Apply only commits that an allowed key signed."),
    click.option(
        "--allow-rewind",
        is_flag=True,
        help="With --verify-signatures: also accept a signed commit that does not descend from the current one.",
    ),
    click.option("--allowed-signers", type=_FILE, help="SSH keys that may sign, as ssh-keygen reads them."),
    click.option("--gpg-home", type=_DIRECTORY, help="GnuPG directory that only holds keys that may sign."),
    click.option(
        "--secrets-dir",
        "secrets_dirs",
        type=_DIRECTORY,
        multiple=True,
        help="Manifests of --git may name settings files below it; may be given more than once.",
    ),
    click.option(
        "--push-images",
        is_flag=True,
        envvar="VAULT_PUSH_IMAGES",
        show_envvar=True,
        help="Commit and push to --git which images spec.imagePolicy chooses; its credentials have to allow that.",
    ),
    click.option(
        "--commit-status-url",
        help="Post the status of commits to GitHub, Gitea or Forgejo: API/repos/OWNER/REPOSITORY/statuses.",
    ),
    click.option("--commit-status-token-file", type=_FILE, help="Token that may write commit statuses."),
    click.option(
        "--commit-status-name",
        default="vault-reconciler",
        show_default=True,
        help="Name of this machine's commit status.",
    ),
)


def git_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the verb gets `git`, its GitFlags."""

    @functools.wraps(verb)
    def collected(*args: Any, **kwargs: Any) -> Any:
        flags = GitFlags(**{each.name: kwargs.pop(each.name) for each in fields(GitFlags)})
        flags.check()
        return verb(*args, git=flags, **kwargs)

    decorated: Callable[..., Any] = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def read_secret(path: Path) -> bytes:
    """The secret in a file, without surrounding white space. Raises Failure for a file that other users may read."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Failure(f"{path}: other users may read the secret in it: chmod 600 {path}")
    secret = path.read_bytes().strip()
    if len(secret) < MIN_SECRET:
        raise Failure(f"{path}: shorter than {MIN_SECRET} characters, which can be guessed")
    return secret
