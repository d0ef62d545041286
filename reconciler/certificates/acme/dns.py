"""Runs the user's program that sets and removes DNS records for dns-01.

It is called as `PROGRAM [arguments...] present|cleanup RECORD VALUE`. A manifest names it only within one directory that
the operator of the controller has chosen, because a manifest may come from a repository that others write to.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final, Literal

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
        # No pipe: that ends only with the last process that has it, which may be a daemon of the program.
        try:
            with tempfile.TemporaryFile() as told:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=told,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                )
                _wait(process, spec, verb, answer)
                last = _last_line(told)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise AcmeError(
                f"the DNS program {spec.program} cannot be started: {reason}", Why.DNS_PROGRAM
            ) from None
        if process.returncode:
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


def _wait(process: subprocess.Popen[bytes], spec: DnsProgram, verb: str, answer: Answer) -> None:
    """Wait for the end of a program, for as long as it has. Raises AcmeError."""
    try:
        process.wait(spec.timeout)
    except subprocess.TimeoutExpired:
        # With all that it has started.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise AcmeError(
            f"the DNS program {spec.program} did not {verb} {answer.record} in {spec.timeout:g} s and was killed; "
            "raise spec.acme.dns.timeout if it needs longer",
            Why.DNS_PROGRAM,
        ) from None


def _last_line(told: BinaryIO) -> str:
    """What a program wrote to stderr last."""
    told.seek(max(0, told.seek(0, os.SEEK_END) - MAX_OUTPUT))
    text = told.read(MAX_OUTPUT).decode(errors="replace")
    return cleaned(text.strip().rpartition("\n")[2]) or "it said nothing on stderr"
