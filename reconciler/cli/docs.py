"""Writes docs/cli.md from the commands themselves: `python -m reconciler.cli.docs docs/cli.md`.

A test compares the file with this output, so that an option cannot be added without being documented.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from reconciler.cli import exit_codes
from reconciler.cli.global_options import global_options
from reconciler.cli.root import root
from reconciler.cli.verb import Verb

__all__ = ["reference"]

HEADER = """\
<!-- Generated from reconciler/cli by `python -m reconciler.cli.docs docs/cli.md`; do not edit. -->

# The command line: vaultctl

`vaultctl COMMAND --help` prints the same text, and `vaultctl completion SHELL` makes a shell complete commands, options
and names. Answers go to stdout; progress, warnings and errors go to stderr. An error is one sentence; with `--debug` its
traceback comes before it. Tables are for people and may change: scripts use `-o json`, `-o name` and the exit code.
"""


def reference() -> str:
    """The whole page."""
    context = click.Context(root, info_name="vaultctl")
    codes = [f"| {code} | {meaning} |" for code, meaning in exit_codes.MEANINGS]
    parts = [
        HEADER,
        "## Options of every command\n\nThey may stand before or after the command.\n",
        _options(global_options(hidden=False), context),
        "\n".join(["## Exit codes\n", "| code | meaning |", "|---|---|", *codes]) + "\n",
        *(part for command in _commands(root, context) for part in _section(command)),
    ]
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """A context for each verb below `group`, those of groups in it included."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield inner


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    assert isinstance(command, Verb)
    yield f"## {context.command_path}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{context.command_path} {usage}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    yield _options([each for each in command.params if isinstance(each, click.Option)], context)
    yield "```sh"
    for line, purpose in command.examples:
        yield f"{line}   # {purpose}"
    yield "```\n"


def _options(options: Sequence[click.Option], context: click.Context) -> str:
    if not options:
        return ""
    rows = (_row(*(option.get_help_record(context) or ("", ""))) for option in options)
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n"


def _row(names: str, meaning: str) -> str:
    # In a table "|" ends the cell, also inside code.
    cells = (cell.replace("|", "\\|") for cell in (f"`{names}`", meaning))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
