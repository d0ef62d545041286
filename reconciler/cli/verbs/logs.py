"""`vaultctl logs`: what the containers of a service write."""

from __future__ import annotations

import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from reconciler.app.finding import existing
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.core.assess.observed import Container
    from reconciler.core.desired.stack import Stack
    from reconciler.wiring import Application

LOOK_SECONDS: Final = 1.0
"""How soon --follow finds a replica that is new."""

COLORS: Final = ("cyan", "green", "yellow", "blue", "magenta")
ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\].*?(?:\x07|\x1b\\)")
"""Whole sequences that speak to a terminal: colours, moves of the cursor, titles and links."""


@click.command(
    "logs",
    cls=Verb,
    short_help="Show what containers write.",
    examples=[
        ("vaultctl logs files", "the last lines of every web replica"),
        ("vaultctl logs files -f", "and all new ones, of new replicas too"),
        ("vaultctl logs files haproxy --tail 20", "of another workload of the stack"),
    ],
)
@name_argument()
@click.argument("workload", required=False)
@click.option("-f", "--follow", is_flag=True, help="Stay, and show new lines.")
@click.option(
    "--tail", type=click.IntRange(0), default=100, show_default=True, help="How many lines of each."
)
@pass_session
def command(session: Session, name: str, workload: str | None, follow: bool, tail: int) -> None:
    """Show the last lines of the service NAME: of its web replicas, or of the containers of WORKLOAD.

    WORKLOAD is a service of its Compose project: haproxy, gateway, or one that its plugin names.

    A terminal gets plain text, whatever the lines hold, because a container must not be able to move its cursor. A
    file or a pipe gets each line as it was written.
    """
    application = session.application
    (stored,) = existing(application.objects, [name])
    stack = application.build(stored.service, stored.origin.manifest.parent)
    wanted = _workloads(stack, workload)

    def look() -> list[Container]:
        containers = application.engine.observe(stack).containers
        return sorted((each for each in containers if each.workload in wanted), key=lambda each: each.name)

    for container, line in _follow(application, look, tail) if follow else _last(application, look(), tail):
        _write(container.name, line)


def _workloads(stack: Stack, workload: str | None) -> frozenset[str]:
    from reconciler.api import VaultError

    names = [each.name for each in stack.workloads]
    if workload is None:
        return frozenset(each.name for each in stack.web)
    if workload not in names:
        raise VaultError(f"{stack.name} has no workload {workload!r}; it has: {', '.join(names)}")
    return frozenset([workload])


def _last(
    application: Application, containers: Sequence[Container], tail: int
) -> Iterator[tuple[Container, str]]:
    for container in containers:
        for line in application.engine.logs(container.id, tail).splitlines():
            yield container, line


def _follow(
    application: Application, look: Callable[[], Sequence[Container]], tail: int
) -> Iterator[tuple[Container, str]]:
    """Lines of all containers as they come, for ever; a thread waits for each container."""
    from reconciler.api import VaultError
    from reconciler.core.assess.observed import State

    lines: queue.SimpleQueue[tuple[Container, str]] = queue.SimpleQueue()
    seen: set[str] = set()
    followed: set[str] = set()

    def follow(container: Container, last: int) -> None:
        # An engine that is away ends the whole command at the next look.
        with suppress(VaultError):
            for line in application.engine.follow(container.id, last):
                lines.put((container, line))
        followed.discard(container.id)

    while True:
        for container in look():
            is_new = container.id not in seen
            if is_new or (container.state is State.RUNNING and container.id not in followed):
                seen.add(container.id)
                followed.add(container.id)
                last = tail if is_new else 0
                threading.Thread(target=follow, args=[container, last], daemon=True).start()
        next_look = time.monotonic() + LOOK_SECONDS
        while (left := next_look - time.monotonic()) > 0:
            with suppress(queue.Empty):
                yield lines.get(timeout=left)


def _write(name: str, line: str) -> None:
    # The same replica keeps its colour from one run to the next, unlike with hash().
    color = COLORS[sum(name.encode()) % len(COLORS)]
    if sys.stdout.isatty():
        click.echo(f"{click.style(f'{name} |', fg=color)} {tame(line)}")
    else:
        # Without "color" the escapes of the line would be taken out, and what is written to a file is evidence.
        click.echo(f"{name} | {line}", color=True)


def tame(line: str) -> str:
    """A line of a container as a terminal may have it: without sequences that speak to it, and printable."""
    return printable(ESCAPES.sub("", line))
