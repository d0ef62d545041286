"""`vaultctl render`: the generated files of a manifest, to be read, compared and checked by other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.manifests import file_option, prepared
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


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
    there are none in the file. compose.yaml holds secrets, without those of encrypted files, and is written with mode 0600.
    """
    from reconciler.app.rendering import render

    application = session.application
    stacks = [each.stack for each in prepared(session, files) if each.stack]
    for stack in stacks:
        target = directory / stack.name if len(stacks) > 1 else directory
        for path in render(application, stack, target):
            click.echo(path)
