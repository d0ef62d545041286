"""`vaultctl images`: what each workload runs, and what its registry has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from reconciler.cli.names import names_argument
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable, table
from reconciler.cli.verb import Verb

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
    answer, or the service cannot be built.

    CHOICE is what spec.imagePolicy of the service chooses, and the controller will write into the manifest.

    Registries are asked with the credentials of `docker login`. Nothing is pulled or changed; `vaultctl set NAME
    images.WORKLOAD=IMAGE` changes one.
    """
    found = session.views.images(names)
    if not found and output is None:
        click.echo("no service has an image", err=True)
        return
    write(output, found, lambda: _table(found))


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    headers = ["SERVICE", "WORKLOAD", "IMAGE", "RUNNING", "NEWEST", "CHOICE", "STATE", "MESSAGE"]
    return table(headers, map(_row, found))


def _row(each: Mapping[str, Any]) -> Sequence[str]:
    name, at, digest = each["image"].partition("@")
    return (
        each["service"],
        printable(each["workload"]),
        printable(f"{name}{at}{digest[:19]}"),
        "" if each["running"] is None else f"{each['running']}/{each['replicas']}",
        printable(each["newest"] or ""),
        printable(each["choice"] or ""),
        click.style(printable(each["state"]), fg=COLORS.get(each["state"], "red")),
        printable(each["message"]),
    )
