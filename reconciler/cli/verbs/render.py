"""`vaultctl render`: the generated files of a manifest, to be read, compared and checked by other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.errors import Failure
from reconciler.cli.manifests import file_option, prepared
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb
from reconciler.files import PRIVATE, replace

if TYPE_CHECKING:
    from reconciler.core.desired.stack import Stack
    from reconciler.wiring import Application

COMPOSE_FILE: Final = "compose.yaml"
PROXY_DIRECTORY: Final = "haproxy"
READABLE: Final = 0o644
"""HAProxy's files hold no secret, and the user that it runs as has to read them."""


@click.command(
    "render",
    cls=Verb,
    short_help="Write the Compose file and HAProxy configuration of manifests.",
    examples=[
        ("vaultctl render -f manifests/paperless.yaml -o out", "out/compose.yaml and out/haproxy/"),
        ("docker compose -f out/compose.yaml config", "the file as Compose reads it"),
        ("haproxy -c -f out/haproxy/haproxy.cfg", "check it with an HAProxy of this machine"),
    ],
)
@file_option()
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where to write; created if it is missing.",
)
@pass_session
def command(session: Session, files: Sequence[Path], directory: Path) -> None:
    """Write compose.yaml and the configuration directory of HAProxy into DIRECTORY, without touching the engine.

    With several services, each gets a directory of its own name. HAProxy's servers are added when replicas run, so
    there are none in the file. compose.yaml holds secrets and is written with mode 0600.
    """
    application = session.application
    stacks = [each.stack for each in prepared(session, files) if each.stack]
    for stack in stacks:
        target = directory / stack.name if len(stacks) > 1 else directory
        for path in _write(target, _files(application, stack)):
            click.echo(path)


def _files(application: Application, stack: Stack) -> dict[str, str]:
    """All files of one service by their path below its directory; HAProxy's have no servers yet."""
    from reconciler.proxy.haproxy.config import render
    from reconciler.proxy.haproxy.containers import haproxy_of

    try:
        proxy = render(stack.proxy, (), haproxy_of(stack).image)
    except ValueError as error:
        raise Failure(f"{stack.name}: {error}") from error
    return {
        COMPOSE_FILE: application.render_compose(stack),
        **{f"{PROXY_DIRECTORY}/{name}": text for name, text in sorted(proxy.items())},
    }


def _write(target: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files below `target` and return their paths. Raises Failure naming the one that could not be."""
    written = []
    for name, text in files.items():
        path = target / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, text.encode(), mode=PRIVATE if name == COMPOSE_FILE else READABLE, alone=True)
        except OSError as error:
            raise Failure(f"cannot write {path}: {error.strerror}") from error
        written.append(path)
    return written
