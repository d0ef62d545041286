"""`vaultctl doctor`: find problems of this machine and its services, with fixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli import exit_codes
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.cli.checkup.finding import Finding
    from reconciler.wiring import Application

LEVEL_WIDTH: Final = 4


@click.command(
    "doctor",
    cls=Verb,
    short_help="Check engine, machine and services.",
    examples=[
        ("vaultctl doctor", "every check, with what to do about each finding"),
        ("vaultctl doctor -o json", "for monitoring; exit 1 when something fails"),
    ],
)
@output_option("json", "yaml")
@pass_session
@click.pass_context
def command(context: click.Context, session: Session, output: str | None) -> None:
    """Check the engine, this machine, and the needs of the stored services; each finding has a fix.

    Changes nothing. Exit 1 when a check fails; warnings are exit 0.
    """
    from reconciler.cli.checkup.finding import Level

    findings = list(_examine(session.application, datetime.now(UTC)))
    data = [
        {"check": each.check, "level": each.level.value, "message": each.message, "fix": each.fix}
        for each in findings
    ]
    write(output, data, lambda: _text(findings))
    failed = any(each.level is Level.FAIL for each in findings)
    context.exit(exit_codes.FAILED if failed else exit_codes.OK)


def _examine(application: Application, now: datetime) -> Iterator[Finding]:
    from reconciler.api import VaultError
    from reconciler.cli.checkup import machine, services
    from reconciler.cli.checkup.engine import check_engine, has_userland_proxy
    from reconciler.cli.checkup.finding import fail

    state = application.options.state_dir
    answers = False
    try:
        info = application.engine.info()
    except VaultError as error:
        yield fail(
            "engine", str(error), "start Docker (`make engine` installs and starts one), or set DOCKER_HOST"
        )
    else:
        answers = True
        yield from check_engine(info, has_userland_proxy(_command_lines()))
        yield from machine.check_disk("engine", Path(info.data_directory))
    yield from machine.check_disk("state", state)
    yield from machine.check_state_directory(state)
    yield from machine.check_clock(state, now)
    yield from services.check_plugins(application.registry)
    try:
        names = application.objects.names()
    except VaultError as error:
        yield fail("services", str(error), "see the finding about the state directory above")
        return
    yield from machine.check_revision_key(state, lost=application.has_lost_key())
    yield from _controller(application, names)
    for name in names:
        yield from services.check_service(application, name, with_engine=answers)


def _controller(application: Application, names: Sequence[str]) -> Iterator[Finding]:
    from reconciler.cli.checkup.finding import ok, warn

    if application.controller_is_running():
        yield ok("controller", "is running")
    elif names:
        yield warn("controller", "is not running: failures are not repaired", "start `vaultctl run`")


def _command_lines() -> Iterator[list[str]]:
    """The command lines of this machine's processes, as far as they are visible."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        yield process.info["cmdline"] or []


def _text(findings: Sequence[Finding]) -> str:
    lines = []
    for each in findings:
        level = click.style(f"{each.level.value:<{LEVEL_WIDTH}}", fg=each.level.color)
        lines.append(f"{level}  {each.check}: {printable(each.message)}")
        if each.fix:
            lines.append(f"{'':{LEVEL_WIDTH}}  → {printable(each.fix)}")
    return "\n".join(lines)
