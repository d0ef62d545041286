"""`vaultctl events`: list recent events."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from reconciler.cli.names import name_argument
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "events",
    cls=Verb,
    short_help="Show recent events.",
    examples=[
        ("vaultctl events", "of all services, oldest first"),
        ("vaultctl events files --limit 20", "the last 20 of one service"),
        ("vaultctl events files -o json", "for scripts"),
    ],
)
@name_argument(required=False)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Number of newest events."
)
@output_option("json", "yaml")
@pass_session
def command(session: Session, name: str | None, limit: int, output: str | None) -> None:
    """Show the controller's events, of the service NAME or of all, oldest first.

    The events of a service are deleted with it.
    """
    from reconciler.app.documents import event_document
    from reconciler.cli.events import event_table

    events = session.application.history.events(name, limit)
    if not events and output is None:
        click.echo("nothing happened yet" if name is None else f"nothing happened to {name} yet", err=True)
        return
    now = datetime.now(UTC)
    write(
        output,
        [event_document(event) for event in events],
        lambda: event_table(events, now, with_service=name is None),
    )
