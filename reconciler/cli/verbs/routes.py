"""`vaultctl routes`: which host and path leads to which service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from reconciler.cli.names import names_argument
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "routes",
    cls=Verb,
    short_help="List hosts and paths, and the services they lead to.",
    examples=[
        ("vaultctl routes", "all routes, refused ones too, with the end of each certificate"),
        ("vaultctl routes files wiki", "only those of these services"),
        ("vaultctl routes -o wide", "with gateway, source of the certificate, and its issuer"),
        ("vaultctl routes -o json | jq '.[] | select(.state != \"Serving\")'", "those that do not work"),
    ],
)
@names_argument(required=False, metavar="[NAME...]")
@output_option("wide", "json", "yaml")
@pass_session
def command(session: Session, names: Sequence[str], output: str | None) -> None:
    """List the routes of the services NAME..., or of all: host, path, service, the end of the certificate, and the state.

    Routes that a gateway refuses are listed as well, each with the reason.
    """
    from reconciler.app.finding import existing_service
    from reconciler.app.routes import route_document
    from reconciler.cli.gateways import route_table

    objects, now = session.application.objects, datetime.now(UTC)
    services = [existing_service(objects, name, "routes").name for name in names]
    lines = session.views.routes(services)
    if not lines and output in (None, "wide"):
        click.echo("no service has a route" if not services else "these services have no route", err=True)
        return
    write(
        output,
        [route_document(line) for line in lines],
        lambda: route_table(lines, now, wide=output == "wide"),
    )
