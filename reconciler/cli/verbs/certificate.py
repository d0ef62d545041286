"""`vaultctl certificate`: the certificates of gateways, and a request for new ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, say, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import VerbGroup

if TYPE_CHECKING:
    from reconciler.app.certificates import Certificate
    from reconciler.app.views import Views

LOOK_SECONDS: Final = 0.5


@click.group("certificate", cls=VerbGroup, short_help="List and renew certificates of gateways.")
def command() -> None:
    """List the certificates of gateways, and ask for new ones. Keys are never shown."""


@command.command(
    "list",
    short_help="List certificates.",
    examples=[
        ("vaultctl certificate list", "each host with the end of its certificate, and what is in its way"),
        ("vaultctl certificate list -o json", "for monitoring"),
    ],
)
@output_option("wide", "json", "yaml")
@pass_session
def list_(session: Session, output: str | None) -> None:
    """List the certificate of each host of a gateway with HTTPS: its source, its end, its next renewal, and its state.

    Valid: clients accept it. RenewalFails: they do, and no newer one could be had. Ended, Missing: they do not.
    """
    from reconciler.app.certificates import certificate_document
    from reconciler.cli.gateways import certificate_table

    now = datetime.now(UTC)
    found = session.views.certificates()
    if not found and output in (None, "wide"):
        click.echo("no host of a gateway is to have a certificate", err=True)
        return
    write(
        output,
        [certificate_document(each) for each in found],
        lambda: certificate_table(found, now, wide=output == "wide"),
    )


@command.command(
    "renew",
    short_help="Ask for new certificates now.",
    examples=[
        ("vaultctl certificate renew app.example.org --wait", "also if it failed before and waits"),
        ("vaultctl certificate renew --all", "every certificate by ACME; mind the limits of the authority"),
    ],
)
@click.argument("hosts", metavar="[HOST...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All hosts whose certificate comes by ACME.")
@click.option("--wait", is_flag=True, help="Return when each host has a new one; exit 1 when one fails.")
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long to wait at most.")
@pass_session
def renew(session: Session, hosts: Sequence[str], everything: bool, wait: bool, timeout: float) -> None:
    """Ask for new certificates of the hosts HOST..., whatever their age, and whether or not an attempt has failed.

    The controller gets them; until one is there, the present certificate goes on serving. Authorities limit how many
    they issue: Let's Encrypt issues 5 in a week for the same set of names.
    """
    from reconciler.app.certificates import named
    from reconciler.certificates.wanted import Source

    if bool(hosts) == everything:
        raise click.UsageError("name hosts, or give --all")
    application, views = session.application, session.views
    found = views.certificates()
    chosen = [c for c in found if c.row.wanted is Source.ACME] if everything else named(found, hosts)
    if not chosen:
        raise Failure("no host has a certificate by ACME")
    views.renew(chosen)
    for each in chosen:
        click.echo(f"{each.row.host}: a new certificate is asked for")
    if not application.controller_is_running():
        say("no controller is running on this state directory: the next one gets them")
    elif wait:
        with application.changes() as changes:
            _wait(views, chosen, timeout, changes.wait)


def _wait(
    views: Views, before: Sequence[Certificate], timeout: float, pause: Callable[[float], object]
) -> None:
    from reconciler.api.errors import VaultError
    from reconciler.app.certificates import is_renewed
    from reconciler.cli.gateways import ends

    deadline = time.monotonic() + timeout
    waiting = {(each.gateway, each.row.host): each for each in before}
    failed = False
    while waiting and (left := deadline - time.monotonic()) > 0:
        # A pass writes the status of the gateway as soon as it has a certificate, or has failed to get one.
        pause(min(left, LOOK_SECONDS))
        now = datetime.now(UTC)
        for each in views.certificates():
            former = waiting.get((each.gateway, each.row.host))
            try:
                if former is None or not is_renewed(former, each):
                    continue
                click.echo(f"{each.row.host} is renewed: until {ends(each.row.not_after, now)}")
            except VaultError as error:
                failed = True
                warn(str(error))
            del waiting[each.gateway, each.row.host]
    if waiting:
        names = ", ".join(host for _, host in waiting)
        raise Failure(
            f"no new certificate for {names} after {timeout:g} s; `vaultctl certificate list` says more"
        )
    if failed:
        raise Failure("not every certificate was renewed")
