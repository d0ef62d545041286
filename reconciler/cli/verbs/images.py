"""`vaultctl images`: what each workload runs, and what its registry has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.names import names_argument
from reconciler.cli.output import output_option, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable, table
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.images import ImageLine

COLORS: Final = {"Current": "green", "Local": "green", "Behind": "yellow", "Moved": "yellow"}
"""All other states are red."""


@click.command(
    "images",
    cls=Verb,
    short_help="List images, and which of them are behind.",
    examples=[
        ("vaultctl images", "the image of every workload, and what its registry has"),
        ("vaultctl images files wiki", "only those of these services"),
        ("vaultctl images -o json | jq '.[] | select(.state == \"Behind\")'", "those with a newer version"),
    ],
)
@names_argument(required=False, metavar="[NAME...]")
@output_option("json", "yaml")
@pass_session
def command(session: Session, names: Sequence[str], output: str | None) -> None:
    """List the images of the services NAME..., or of all, and ask their registries what is newer.

    Behind: the registry has a tag with a higher version, of the same form. Moved: the tag means another image there than
    here, or than the digest that the manifest names. Local: it was built on this machine. Unknown: the registry gave no
    answer.

    CHOICE is what spec.imagePolicy of the service chooses, and the controller will write into the manifest.

    Registries are asked with the credentials of `docker login`. Nothing is pulled or changed; `vaultctl set NAME
    images.WORKLOAD=IMAGE` changes one.
    """
    from reconciler.app.finding import existing_service
    from reconciler.app.images import image_document, images

    application = session.application
    wanted = names or application.objects.names()
    services = [existing_service(application.objects, name, "images") for name in wanted]
    lines = images(application, services, datetime.now(UTC), warn)
    if not lines and output is None:
        click.echo("no service has an image", err=True)
        return
    write(output, [image_document(line) for line in lines], lambda: _table(lines))


def _table(lines: Sequence[ImageLine]) -> str:
    headers = ["SERVICE", "WORKLOAD", "IMAGE", "RUNNING", "NEWEST", "CHOICE", "STATE", "MESSAGE"]
    return table(headers, map(_row, lines))


def _row(line: ImageLine) -> Sequence[str]:
    found = line.standing
    name, at, digest = line.image.partition("@")
    return (
        line.service,
        line.workload,
        printable(f"{name}{at}{digest[:19]}"),
        "" if line.running is None else f"{line.running}/{line.wanted}",
        printable(found.newest),
        printable(line.choice.tag if line.choice else ""),
        click.style(found.state.value, fg=COLORS.get(found.state.value, "red")),
        printable(line.message),
    )
