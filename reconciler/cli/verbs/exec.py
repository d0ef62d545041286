"""`vaultctl exec`: run a command in a container of a service."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from reconciler.cli.errors import Failure
from reconciler.cli.names import name_argument
from reconciler.cli.output import warn
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "exec",
    cls=Verb,
    short_help="Run a command in a container.",
    examples=[
        ("vaultctl exec files -- ls -l /srv", "in a web replica"),
        ("vaultctl exec files -it -- sh", "with a terminal"),
        ("vaultctl exec miniflux -c db -- psql -U miniflux -c 'select 1'", "in another workload"),
        ("tar c docs | vaultctl exec files -i -- tar x -C /srv", "with standard input"),
    ],
)
@name_argument()
@click.argument("words", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-c",
    "--container",
    metavar="WORKLOAD",
    help="The workload of the service, or the full name of a container, instead of a web replica.",
)
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@pass_session
def command(
    session: Session, name: str, words: Sequence[str], container: str | None, stdin: bool, tty: bool
) -> None:
    """Run COMMAND in a container of the service NAME, and end with its exit code.

    Without -c it is a healthy web replica of the present revision. What the command changes in the container is lost when
    that is replaced; only volumes stay.
    """
    from reconciler.app.executing import choose
    from reconciler.app.finding import existing_service

    application = session.application
    stored = existing_service(application.objects, name, "exec")
    if tty and not (sys.stdin and sys.stdin.isatty()):
        warn("standard input is no terminal, so the command gets none")
        tty = False
    if (remote := session.remote) is not None:
        from reconciler.cli.remote.command import run

        pod = remote.pods.choose(stored.ref, container).name
        raise SystemExit(run(remote.target, pod, words, stdin=stdin, tty=tty))
    stack = application.build(stored.resource, stored.origin.manifest.parent)
    chosen = choose(stack, application.engine, container)
    become(application.engine.exec_line(chosen.id, words, stdin=stdin, tty=tty))


def become(line: Sequence[str]) -> NoReturn:
    """Replace this process, so that signals, the terminal and the exit code are those of the command."""
    from reconciler.core.environment import passed

    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Python ignores it, and an ignored signal stays ignored in the next program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(line[0], [*line], passed(os.environ))
    except OSError as error:
        raise Failure(f"{line[0]} cannot be started: {error.strerror}") from error
