"""`vaultctl version`: the installed version; needs no engine."""

from __future__ import annotations

import platform

import click

from reconciler.cli.about import VERSION
from reconciler.cli.output import output_option, write
from reconciler.cli.verb import Verb


@click.command(
    "version",
    cls=Verb,
    short_help="Show the version.",
    examples=[
        ("vaultctl version", "version of vaultctl and of the Python that runs it"),
        ("vaultctl version -o json", "the same for scripts"),
    ],
)
@output_option("json", "yaml")
def command(output: str | None) -> None:
    """Show the version of vaultctl and of the Python that runs it."""
    facts = {"version": VERSION, "python": platform.python_version()}
    write(output, facts, lambda: "\n".join([f"vaultctl {facts['version']}", f"python   {facts['python']}"]))
