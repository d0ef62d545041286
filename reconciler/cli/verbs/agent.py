"""`vaultctl agent`: the small part beside a HAProxy on another node, and the controller's list of those."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import click

from reconciler.api.errors import VaultError
from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.signals import stop_on_signals
from reconciler.cli.tables import age, table
from reconciler.cli.verb import Verb, VerbGroup
from reconciler.core.names import AGENT_PORT, ENGINE_PORT

DEFAULT_LISTEN: Final = f"0.0.0.0:{AGENT_PORT}"
DEFAULT_ENGINE_LISTEN: Final = f"0.0.0.0:{ENGINE_PORT}"


@click.group("agent", cls=VerbGroup, short_help="Run the agent of a node, and enrol, list and remove agents.")
def command() -> None:
    """An agent serves the HAProxies of its node to the controller, over TLS with certificates of both sides.

    It is enrolled once, by a token that the controller prints; the controller renews its certificate from then on.
    """


@command.command(
    "run",
    cls=Verb,
    short_help="Run the agent of this node.",
    examples=[
        (
            "vaultctl agent run --controller 10.0.0.1:9444 --token-file token",
            "for the first time: the token enrols it",
        ),
        ("vaultctl agent run", "from then on"),
        ("vaultctl agent run --listen 10.0.0.2:9443", "on one address of the node only"),
    ],
)
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    help="ADDRESS:PORT that the controller connects to.",
)
@click.option(
    "--controller", help="ADDRESS:PORT where the controller enrols agents (`vaultctl run --agents`)."
)
@click.option(
    "--token-file",
    type=click.File(),
    help="File with the token of `vaultctl agent token`; - for standard input.",
)
@click.option(
    "--engine",
    type=click.Path(path_type=Path),
    help="Socket of the engine that the controller may use, to create HAProxies here; none, if not given.",
)
@click.option(
    "--engine-listen",
    default=DEFAULT_ENGINE_LISTEN,
    show_default=True,
    help="ADDRESS:PORT where the controller is led to that socket.",
)
@pass_session
def run(
    session: Session,
    listen: str,
    controller: str | None,
    token_file: IO[str] | None,
    engine: Path | None,
    engine_listen: str,
) -> None:
    """Serve the HAProxies of this node to the controller, until it is stopped; they keep running without it.

    An agent that is enrolled already needs no token; one that has not enrolled it before does so again.
    """
    from reconciler.cli import log
    from reconciler.cli.agent_serving import AgentDirectory, leading_to, serving_agent
    from reconciler.cli.garbage import collect_as_usual

    directory = AgentDirectory(session.state_dir.absolute())
    log.set_up(debug=session.debug, verbose=True, json_lines=session.log_format == "json", hide=session.hide)
    token = token_file.read(4096).strip() if token_file else ""
    if not directory.identity.exists and not (controller and token):
        raise click.UsageError("this agent is not enrolled yet: give --controller and --token-file")
    if controller and token and not directory.has_used(token):
        try:
            directory.enrol(controller, token)
        except VaultError as error:
            if not directory.identity.exists:
                raise
            warn(f"not enrolled again: {error}")
    stop, terms = stop_on_signals(), directory.terms
    with ExitStack() as serving:
        serving.enter_context(serving_agent(directory, listen, terms))
        if engine:
            serving.enter_context(leading_to(engine, directory, engine_listen, terms))
        collect_as_usual()
        stop.wait()


@command.command(
    "token",
    cls=Verb,
    short_help="Print a token that enrols the agent of a node.",
    examples=[
        ("vaultctl agent token node-2 --address 10.0.0.2:9443", "for a new node, or to enrol it again"),
        ("vaultctl agent token node-2 --address 10.0.0.2:9443 > token", "into a file, for --token-file"),
    ],
)
@click.argument("node")
@click.option("--address", required=True, help="ADDRESS:PORT at which the controller reaches the agent.")
@pass_session
def token(session: Session, node: str, address: str) -> None:
    """Print a token that enrols the agent of NODE. It works once, for an hour, and is shown only now.

    The certificates that the agent had before are no longer accepted once the token is used.
    """
    from reconciler.certificates.agents import agent_name

    agent_name(node)
    lines = session.application.agents
    click.echo(lines.agents.invite(node, address, lines.pin()))


@command.command(
    "list",
    cls=Verb,
    short_help="List the agents.",
    examples=[
        ("vaultctl agent list", "asks each of them whether it answers"),
        ("vaultctl agent list -o json", "for scripts"),
    ],
)
@output_option("json", "yaml")
@pass_session
def list_(session: Session, output: str | None) -> None:
    """List the agents, whether each answers the controller on this machine, and when its certificate ends."""
    now, lines = datetime.now(UTC), session.application.agents
    lines.look()
    lines.close()
    states = lines.states()
    documents = [
        {
            "node": each.agent.node,
            "address": each.agent.address,
            "enrolled": bool(each.agent.certificates),
            "answers": each.answers,
            "problem": each.problem,
            "certificateEnds": each.ends.isoformat() if each.ends else None,
        }
        for each in states
    ]
    rows = [
        (
            each.agent.node,
            each.agent.address,
            {True: "Answers", False: "Away", None: "NotEnrolled"}[each.answers],
            f"in {age(now, each.ends)}" if each.ends and each.ends > now else "ended" if each.ends else "",
            each.problem,
        )
        for each in states
    ]
    write(
        output,
        documents,
        lambda: table(("NODE", "ADDRESS", "STATUS", "CERTIFICATE ENDS", "PROBLEM"), rows),
    )


@command.command(
    "remove",
    cls=Verb,
    short_help="Remove an agent.",
    examples=[("vaultctl agent remove node-2", "running controllers ask it no more")],
)
@click.argument("node")
@pass_session
def remove(session: Session, node: str) -> None:
    """Remove the agent of NODE. A running controller asks it no more, and a token of it that was not used is void."""
    if not session.application.agents.agents.remove(node):
        raise Failure(f"there is no agent of a node {node!r}; see: vaultctl agent list")
    click.echo(f"agent of node {node} removed")
