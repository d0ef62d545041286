"""`vaultctl events`: list recent events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from reconciler.cli.names import names_argument, one
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
@names_argument(required=False, metavar="[[KIND] NAME]")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Number of newest events."
)
@output_option("json", "yaml")
@pass_session
def command(session: Session, names: Sequence[str], limit: int, output: str | None) -> None:
    """Show the controller's events, of the service NAME, of an object of another KIND, or of all, oldest first.

    The events of an object are deleted with it.
    """
    from reconciler.app.documents import event_document
    from reconciler.app.finding import refs_of
    from reconciler.cli.events import event_table

    application = session.application
    # The object need not exist: it may have been deleted a moment ago.
    ref = one(refs_of(application.object_views, names)) if names else None
    history = application.history
    events = history.of(ref.kind).events(ref.name, limit) if ref else history.events(limit=limit)
    if not events and output is None:
        click.echo(f"nothing happened to {ref.label} yet" if ref else "nothing happened yet", err=True)
        return
    now = datetime.now(UTC)
    write(
        output,
        [event_document(event) for event in events],
        lambda: event_table(events, now, with_service=ref is None),
    )
