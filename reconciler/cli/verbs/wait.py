"""`vaultctl wait`: wait for a state of objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.manifests import file_option
from reconciler.cli.names import names_argument
from reconciler.cli.output import say
from reconciler.cli.selection import namespace_options, selection_options
from reconciler.cli.session import Session, pass_session
from reconciler.cli.targets import targets
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.app.selecting import Selection

SAID: Final = {"create": "created", "delete": "deleted"}


@click.command(
    "wait",
    cls=Verb,
    short_help="Wait for a state of services.",
    examples=[
        ("vaultctl wait files --for=condition=Ready --timeout 2m", "until its newest spec is Ready"),
        ("vaultctl wait files --for=condition=Ready=False", "until it is not"),
        (
            "vaultctl wait -l team=web --for=jsonpath='{.status.replicas.serving}'=3",
            "until a field has a value",
        ),
        ("vaultctl wait files wiki --for=delete", "until they are gone"),
    ],
)
@names_argument(required=False)
@file_option(required=False)
@selection_options
@namespace_options
@click.option("--all", "everything", is_flag=True, help="All of the kind.")
@click.option(
    "--for",
    "wanted",
    metavar="STATE",
    required=True,
    help="condition=TYPE[=STATUS], jsonpath='{PATH}'[=VALUE], create or delete.",
)
@click.option(
    "--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait; 0s looks once."
)
@pass_session
def command(
    session: Session,
    names: Sequence[str],
    files: Sequence[Path],
    selection: Selection,
    everything: bool,
    wanted: str,
    timeout: float,
) -> None:
    """Wait until the services NAME..., those of manifests, or those with labels have reached a state; exit 1 if one has
    not.

    With a KIND before them, or as KIND/NAME, they are objects of another kind. A condition counts when it is about the
    newest spec. Waiting changes nothing: a controller has to do the work.
    """
    from reconciler.app.finding import existing
    from reconciler.app.goals import parse_goal
    from reconciler.app.waiting import until_met

    application = session.application
    objects = application.objects
    goal = parse_goal(wanted)
    refs = targets(objects, names, files, selection, everything=everything)
    if goal.text not in SAID:
        existing(objects, [str(ref) for ref in refs])
    if not refs:
        say("no object matches, so there is nothing to wait for")
        return
    if not application.controller_is_running():
        say("no controller is running on this state directory")

    def tell(ref: Ref) -> None:
        click.echo(f"{ref} {SAID.get(goal.text, 'condition met')}")

    with application.changes() as changes:
        until_met(objects, refs, goal, timeout, tell, pause=changes.wait)
