"""Runs git: without prompts, with a deadline, and without secrets in its messages.

Every security-related setting is set here for every call, so that neither the environment of the controller nor a file in
a repository can run a program: no hooks, no unusual transports, no symbolic links out of a checkout.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.api import TemporaryError
from reconciler.api.reasons import Reason

LOCAL_SECONDS: Final = 30.0
"""Deadline of local commands."""

MAX_MESSAGE: Final = 400

CONFIG: Final = (
    ("core.hooksPath", os.devnull),
    ("core.symlinks", "false"),
    ("core.autocrlf", "false"),
    ("core.fsmonitor", "false"),
    ("submodule.recurse", "false"),
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
    ("advice.detachedHead", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "20"),
)
"""Settings for the controller's own clone; a user's working copy keeps its hooks."""

_SSH: Final = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
_KEPT: Final = re.compile(r"GIT_(SSL_|TRACE|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)$|AUTHOR_|COMMITTER_)")
"""Variables of git that do not depend on the repository, unlike GIT_DIR, GIT_INDEX_FILE and so on."""

_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+@")
_NOISE: Final = re.compile(r"hint:|[Ww]arning:|Please make sure|and the repository exists")


class GitError(TemporaryError):
    """A git command failed; the text is git's own, without credentials."""


class RefusedError(GitError):
    """A commit that can be had and is not taken."""

    reason = Reason.REFUSED


class TooLargeError(RefusedError):
    """A repository exceeds the limits."""

    reason = Reason.REPOSITORY_TOO_LARGE


class GitTimeoutError(GitError):
    """git exceeded its deadline and was killed."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files with credentials; for one that is None, the user's configuration of git and ssh is used.

    `store` has the format of git-credential-store: one `https://user:token@host` a line.
    """

    store: Path | None = None
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def config(self) -> tuple[tuple[str, str], ...]:
        """The git settings for the credential store."""
        if self.store is None:
            return ()
        # The empty value removes helpers of other configurations, which might prompt.
        helper = f"store --file={shlex.quote(str(self.store.absolute()))}"
        return (("credential.helper", ""), ("credential.helper", helper))

    def ssh_command(self) -> str:
        """The ssh command line, without prompts."""
        words = [*_SSH]
        if self.ssh_key is not None:
            words += ["-o", "IdentitiesOnly=yes", "-i", str(self.ssh_key.absolute())]
        if self.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts.absolute()}"]
            words += ["-o", "StrictHostKeyChecking=yes"]
        return shlex.join(words)


class Git:
    """git with one set of credentials and settings. `secrets` are texts that no message may contain."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        config: Sequence[tuple[str, str]] = CONFIG,
        credentials: Credentials | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        credentials = credentials or Credentials()
        settings = [*config, *credentials.config()]
        self._secrets = tuple(secret for secret in secrets if secret)
        self._environ = {
            **{
                key: value for key, value in environ.items() if not key.startswith("GIT_") or _KEPT.match(key)
            },
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            # Set but empty: git then does not look for another askpass program.
            "GIT_ASKPASS": "",
            "GIT_SSH_COMMAND": credentials.ssh_command(),
            "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
            # Settings are passed in the environment: every user of the machine can read arguments.
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{f"GIT_CONFIG_KEY_{index}": key for index, (key, _) in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{index}": value for index, (_, value) in enumerate(settings)},
        }

    def run(
        self,
        *arguments: str,
        cwd: Path,
        timeout: float = LOCAL_SECONDS,
        environ: Mapping[str, str] | None = None,
        largest_file: int = resource.RLIM_INFINITY,
    ) -> str:
        """The output of `git ARGUMENTS`, without the trailing newline.

        Raises GitError with git's reason, GitTimeoutError after `timeout` seconds, TooLargeError if git writes a file of
        more bytes than `largest_file`.
        """
        code, out, err = self.attempt(
            *arguments, cwd=cwd, timeout=timeout, environ=environ, largest_file=largest_file
        )
        if code != 0 and _wrote_too_much(code, err):
            raise TooLargeError(f"the repository is larger than {largest_file >> 20} MiB")
        if code != 0:
            raise GitError(self._reason(err) or f"git {_verb(arguments)} ended with exit code {code}")
        return out.rstrip("\n")

    def attempt(
        self,
        *arguments: str,
        cwd: Path,
        timeout: float = LOCAL_SECONDS,
        environ: Mapping[str, str] | None = None,
        largest_file: int = resource.RLIM_INFINITY,
    ) -> tuple[int, str, str]:
        """Exit code, stdout and stderr, for commands whose failure is a result."""
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=cwd,
                env={**self._environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                process_group=0,
            )
        except FileNotFoundError as error:
            what = f"{cwd} does not exist" if not cwd.is_dir() else "git is not installed"
            raise GitError(what) from error
        except OSError as error:
            raise GitError(f"git cannot be started: {error.strerror}") from error
        with process:
            if largest_file != resource.RLIM_INFINITY:
                # Its children inherit the limit: they write a received pack into one file.
                with suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException as error:
                # Killing only git would leave ssh and its other helpers running.
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise GitTimeoutError(f"git {_verb(arguments)} took longer than {timeout:g} s") from None
                raise
        return process.returncode, out, err

    def head(self, *arguments: str, cwd: Path, timeout: float, records: int) -> list[str]:
        """The first `records` NUL-terminated records that `git ARGUMENTS` prints; git is stopped after them.

        Raises GitError.
        """
        command = ["git", *arguments]
        read: list[str] = []
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError as error:
            raise GitError(f"git cannot be started: {error.strerror}") from error
        killer = threading.Timer(timeout, lambda: os.killpg(process.pid, signal.SIGKILL))
        with process:
            killer.start()
            try:
                assert process.stdout is not None
                rest = b""
                while len(read) < records and (chunk := os.read(process.stdout.fileno(), 65536)):
                    *whole, rest = (rest + chunk).split(b"\0")
                    read += (record.decode(errors="replace") for record in whole)
            finally:
                killer.cancel()
                is_cut = len(read) >= records
                if is_cut:
                    os.killpg(process.pid, signal.SIGKILL)
            if not is_cut and process.wait(timeout) != 0:
                raise GitError(f"git {_verb(arguments)} ended with exit code {process.returncode}")
        return read[:records]

    def _reason(self, text: str) -> str:
        """The lines of stderr with the reason, as one line."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        lines = [line.strip() for line in _USERINFO.sub("", text).splitlines() if line.strip()]
        telling = [line for line in lines if not _NOISE.match(line)] or lines
        said = "; ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in telling[-3:])
        # The output of a server may contain anything, also terminal control codes.
        return "".join(each if each.isprintable() else " " for each in said)[:MAX_MESSAGE]


def _wrote_too_much(code: int, err: str) -> bool:
    """Whether RLIMIT_FSIZE stopped git or a child process."""
    return code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ) or "signal 25" in err or "File too large" in err


def _verb(arguments: Sequence[str]) -> str:
    """The first argument that is not an option or the value of one."""
    words = iter(arguments)
    for word in words:
        if word in ("-c", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""
