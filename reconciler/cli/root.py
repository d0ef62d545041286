"""`vaultctl` itself: the global options, and the verbs that are the files of `verbs/`.

A new verb is a new file with a `command` in it. Listing verbs reads the directory; only the verb that is called is
imported.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from contextlib import suppress

import click

from reconciler.cli import exit_codes, streams, verbs
from reconciler.cli.errors import internal_error
from reconciler.cli.global_options import global_options
from reconciler.cli.session import Session
from reconciler.cli.verb import VerbGroup

__all__ = ["root", "run"]


class Root(VerbGroup):
    """The group whose commands are the modules of `reconciler.cli.verbs`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the verbs, sorted; imports none of them."""
        return sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{verbs.__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what exit codes mean."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in exit_codes.MEANINGS])


root = Root(
    "vaultctl",
    params=[*global_options(hidden=False)],
    help="Reconcile Docker Compose stacks and their HAProxy with YAML manifests, without losing a request.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors have been written to stderr."""
    streams.prepare()
    code = _run(arguments)
    problem = streams.flush()
    if problem and code == exit_codes.OK:
        _complain(problem)
        return exit_codes.FAILED
    return code


def _run(arguments: Sequence[str]) -> int:
    session = Session.from_environment()
    try:
        result = root.main(list(arguments), prog_name="vaultctl", standalone_mode=False, obj=session)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except click.Abort:
        return exit_codes.INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.filename == streams.OUTPUT:
            _complain(f"{streams.OUTPUT}: {error.strerror}")
            return exit_codes.FAILED
        if session.debug:
            import traceback

            _complain(session.hide(traceback.format_exc()), prefix="")
        _complain(session.hide(internal_error(error)))
        return exit_codes.FAILED
    return result if isinstance(result, int) else exit_codes.OK


def _complain(text: str, prefix: str = "Error: ") -> None:
    # If stderr is full as well, only the exit code reports the error.
    with suppress(OSError):
        click.echo(f"{prefix}{text}", err=True)
