"""`vaultctl set`: change fields of a spec in the service's manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api.yaml_nodes import Scalar


@click.command(
    "set",
    cls=Verb,
    short_help="Change fields of a spec.",
    examples=[
        ("vaultctl set files env.LOG_LEVEL=debug", "a setting"),
        ("vaultctl set files strategy.rollingUpdate.maxSurge=50% replicas=4", "several, as one commit"),
        ("vaultctl set files images.web=registry.example.org/app:1.4.2", "the image of a workload"),
        ("vaultctl set files ports.http=8090 --dry-run", "only show the line that would change"),
    ],
)
@name_argument()
@click.argument("assignments", metavar="ASSIGNMENT...", nargs=-1, required=True)
@edit_options
@pass_session
def command(session: Session, name: str, assignments: Sequence[str], flags: EditFlags) -> None:
    """Set fields of the spec of NAME; each ASSIGNMENT is FIELD=VALUE.

    `vaultctl explain spec` lists the fields.

    Secrets do not belong into a manifest: keep them in a file that spec.envFrom names.
    """
    from reconciler.app.changes import assign

    changes = dict(_assignment(each) for each in assignments)
    if len(changes) < len(assignments):
        raise click.UsageError("a field is given twice; keep one of them")
    change(session.application, name, lambda stored: assign(stored.name, changes), flags)


def _assignment(text: str) -> tuple[str, Scalar]:
    from reconciler.app.changes import value_of

    field, equals, value = text.partition("=")
    if not equals or not all(field.split(".")):
        raise click.UsageError(f"{text!r} is no FIELD=VALUE; write, for example, env.LOG_LEVEL=debug")
    return field, value_of(field, value)
