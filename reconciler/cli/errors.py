"""Turns errors into one sentence on stderr, and an exit code.

Failure (exit 1)
└── Trouble (exit 2)   for `diff`, whose exit 1 already means that something differs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

import click

from reconciler.cli import exit_codes
from reconciler.cli.tables import printable

__all__ = ["Failure", "Trouble", "internal_error", "reported_as"]

RERUN: Final = "run again with --debug"


class Failure(click.ClickException):
    """The request is valid and could not be carried out."""

    exit_code: ClassVar[int] = exit_codes.FAILED


class Trouble(Failure):
    """A comparison that could not be made."""

    exit_code: ClassVar[int] = exit_codes.TROUBLE


@contextmanager
def reported_as(
    failure: type[Failure], *, debug: bool, hide: Callable[[str], str] = lambda text: text
) -> Iterator[None]:
    """Turn expected errors into `failure`; with `debug` their traceback goes to stderr first.

    `hide` redacts secrets.
    """
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        if debug:
            import traceback

            click.echo(hide(traceback.format_exc()), err=True, nl=False)
        raise failure(printable(hide(sentence))) from error


def internal_error(error: Exception) -> str:
    """The message for an unexpected error."""
    # The text of a foreign exception may span lines and hold anything; its first line names the problem.
    first = (str(error).splitlines() or [""])[0]
    return printable(f"internal error: {type(error).__name__}{f': {first}' if first else ''}; {RERUN}")


def _sentence(error: Exception) -> str | None:
    """The message of an expected error; None for an unexpected one."""
    # Imported only after a failure: the fast verbs need neither package.
    from reconciler.api.errors import ManifestError, VaultError
    from vault_plugins.contract import PluginError

    if isinstance(error, ManifestError) and len(error.problems) > 1:
        return f"{len(error.problems)} problems\n{error.message}"
    if isinstance(error, VaultError | PluginError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None
