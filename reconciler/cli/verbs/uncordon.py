"""`vaultctl uncordon`: open a node to instances again."""

from __future__ import annotations

import click

from reconciler.cli.nodes import node_argument
from reconciler.cli.output import say
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "uncordon",
    cls=Verb,
    short_help="Open a node to instances again.",
    examples=[
        ("vaultctl uncordon node2", "after `cordon` or `drain`, also to take a drain back that is under way"),
        (
            "vaultctl uncordon node2 && vaultctl rotate files",
            "and spread the replicas of a service over it as well",
        ),
    ],
)
@node_argument
@pass_session
def command(session: Session, node: str) -> None:
    """Open NODE of a Docker Swarm to instances. What left it does not come back by itself: the next instances may go
    there.
    """
    from reconciler.app.draining import uncordon

    say(f"node {uncordon(session.application.engine.nodes, node).name} is uncordoned")
