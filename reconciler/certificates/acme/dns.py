"""Runs the user's program that sets and removes DNS records for dns-01.

It is called as `PROGRAM [arguments...] present|cleanup RECORD VALUE`. A manifest names it only within one directory that
the operator of the controller has chosen, because a manifest may come from a repository that others write to.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from reconciler.api.acme import DnsProgram
from reconciler.certificates.acme.problems import cleaned
from reconciler.certificates.errors import AcmeError, Why
from reconciler.certificates.order import Answer

__all__ = ["DnsRunner", "program_in"]

PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ")
MAX_OUTPUT: Final = 64 * 1024
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class DnsRunner:
    """Runs a program of this directory with these variables of the controller's environment."""

    def __init__(self, directory: Path | None, environ: Mapping[str, str]) -> None:
        self._directory = directory
        self._environ = {name: environ[name] for name in PASSED_ON if name in environ}

    def run(self, spec: DnsProgram, verb: Literal["present", "cleanup"], answer: Answer) -> None:
        """Set or remove the record of an answer; both are safe to repeat. Raises AcmeError."""
        program = program_in(self._directory, spec.program)
        command = [str(program), *spec.arguments, verb, answer.record, answer.value]
        environment = {**self._environ, **spec.environment}
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise AcmeError(
                f"the DNS program {spec.program} cannot be started: {reason}", Why.DNS_PROGRAM
            ) from None
        told = _ended(process, spec, verb, answer)
        if process.returncode:
            last = (
                cleaned(told.decode(errors="replace").strip().rpartition("\n")[2])
                or "it said nothing on stderr"
            )
            raise AcmeError(
                f"the DNS program {spec.program} could not {verb} {answer.record}: exit code {process.returncode}, {last}",
                Why.DNS_PROGRAM,
            )


def program_in(directory: Path | None, name: str) -> Path:
    """The program of that name, if only its owner can change it. Raises AcmeError."""
    if directory is None:
        raise AcmeError(
            f"the DNS program {name} cannot be run: start the controller with --dns-programs DIRECTORY",
            Why.DNS_PROGRAM,
        )
    path = directory / name
    try:
        status = path.stat()
    except OSError as error:
        message = f"the DNS program {path} cannot be run: {error.strerror or error}; put it there"
        raise AcmeError(message, Why.DNS_PROGRAM) from None
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.X_OK):
        message = f"the DNS program {path} cannot be run: it is no executable file; run: chmod 755 {path}"
        raise AcmeError(message, Why.DNS_PROGRAM)
    if status.st_mode & OTHERS_WRITE or status.st_uid not in (0, os.geteuid()):
        message = (
            f"the DNS program {path} is not run: others than the controller's user can change it; "
            f"run: chmod go-w {path}"
        )
        raise AcmeError(message, Why.DNS_PROGRAM)
    return path


def _ended(process: subprocess.Popen[bytes], spec: DnsProgram, verb: str, answer: Answer) -> bytes:
    """What a program wrote to stderr until it ended in time."""
    try:
        _, told = process.communicate(timeout=spec.timeout)
    except subprocess.TimeoutExpired:
        # With all that it has started: one of those may hold the pipe.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise AcmeError(
            f"the DNS program {spec.program} did not {verb} {answer.record} in {spec.timeout:g} s and was killed; "
            "raise spec.acme.dns.timeout if it needs longer",
            Why.DNS_PROGRAM,
        ) from None
    return told[-MAX_OUTPUT:]
