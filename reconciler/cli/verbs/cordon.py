"""`vaultctl cordon`: give a node no further instance."""

from __future__ import annotations

import click

from reconciler.cli.nodes import node_argument
from reconciler.cli.output import say
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "cordon",
    cls=Verb,
    short_help="Give a node no further instance.",
    examples=[
        ("vaultctl cordon node2", "before work on it that its instances survive"),
        ("vaultctl cordon node2 && vaultctl get nodes", "shows it as SchedulingDisabled"),
    ],
)
@node_argument
@pass_session
def command(session: Session, node: str) -> None:
    """Close NODE of a Docker Swarm to new instances. Those that it has keep running; `drain` moves them."""
    from reconciler.app.draining import cordon

    say(f"node {cordon(session.application.engine.nodes, node).name} is cordoned")
