"""`vaultctl doctor`: find problems of this machine and its services, with fixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli import exit_codes
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.checkup.finding import Finding

LEVEL_WIDTH: Final = 4
COLORS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}
"""The usual terminal colours."""


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
    from reconciler.app.checkup.finding import Level

    findings = session.views.findings()
    write(output, [each.document() for each in findings], lambda: _text(findings))
    failed = any(each.level is Level.FAIL for each in findings)
    context.exit(exit_codes.FAILED if failed else exit_codes.OK)


def _text(findings: Sequence[Finding]) -> str:
    lines = []
    for each in findings:
        level = click.style(f"{each.level.value:<{LEVEL_WIDTH}}", fg=COLORS[each.level.value])
        lines.append(f"{level}  {each.check}: {printable(each.message)}")
        if each.fix:
            lines.append(f"{'':{LEVEL_WIDTH}}  → {printable(each.fix)}")
    return "\n".join(lines)
