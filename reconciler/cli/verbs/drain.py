"""`vaultctl drain`: move all instances of a node elsewhere, without losing a request."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.nodes import node_argument
from reconciler.cli.output import say, warn
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "drain",
    cls=Verb,
    short_help="Move all instances of a node elsewhere.",
    examples=[
        ("vaultctl drain node2", "before its engine or its kernel is upgraded"),
        (
            "vaultctl drain node2 --stop-pinned",
            "also stop what has its data there; it starts again after `uncordon`",
        ),
        ("vaultctl drain node2 --no-wait", "ask for it, and return at once"),
    ],
)
@node_argument
@click.option(
    "--timeout",
    type=DURATION,
    default="10m",
    show_default=True,
    help="How long to wait until the node is empty.",
)
@click.option(
    "--stop-pinned", is_flag=True, help="Stop instances whose local volume is there and nowhere else."
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait, and show what is left.")
@pass_session
def command(session: Session, node: str, timeout: float, stop_pinned: bool, wait: bool) -> None:
    """Empty NODE of a Docker Swarm. The running controller starts other instances elsewhere, adds them to the pool, and
    drains those of the node before it stops them, within the budget of each service, like a rotation. Then Swarm itself
    keeps the node empty. A way in of a gateway is only closed: HAProxy and the agent serve on there until the label that
    selects the node is removed, and then Swarm keeps it empty as well.

    The request is kept in the Swarm: if this command is killed, the controller goes on, and the same command waits again.
    Instances whose local volume is on the node are named and stay, and the exit code is 1 then. A job is left to end. A
    service that is suspended, or whose rollout is paused, moves when it is resumed.
    """
    from reconciler.api.kinds import VAULT_GATEWAY
    from reconciler.app.draining import drain, wait_until_drained
    from reconciler.app.nodes import named
    from reconciler.controller.loop.draining import ways_in

    application = session.application
    nodes, gateways = application.engine.nodes, application.objects.of(VAULT_GATEWAY)
    found = drain(nodes, gateways, node, datetime.now(UTC), stops_pinned=stop_pinned)
    name = found.name
    for gateway in ways_in(gateways, found):
        warn(
            f"{name} is a way in of the gateway {gateway}, which serves on there: to end that as well, remove the label "
            "that selects the node"
        )
    if not application.controller_is_running():
        warn("no controller runs on this state directory; instances move when one runs somewhere")
    if not wait:
        say(f"node {name} is being drained; `vaultctl describe node {name}` shows what is left")
        return
    left = wait_until_drained(
        nodes,
        gateways,
        application.history,
        name,
        timeout,
        lambda text: say(f"{datetime.now():%H:%M:%S} {name}: {text}"),
        now=lambda: datetime.now(UTC),
    )
    if left.pinned and not stop_pinned:
        stay = ", ".join(each.name for each in left.pinned)
        raise Failure(
            f"node {name} is cordoned, and what can move has left it; these stay, because they can run nowhere else: "
            f"{stay}. Move their volumes, or stop them with --stop-pinned"
        )
    serving = ways_in(gateways, named(nodes.all(), name))
    say(
        f"node {name} has no instances left; HAProxy serves on there"
        if serving
        else f"node {name} is drained"
    )
