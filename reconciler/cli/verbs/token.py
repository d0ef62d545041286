"""`vaultctl token`: create, list and revoke the bearer tokens of the Kubernetes API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, table
from reconciler.cli.verb import Verb, VerbGroup

if TYPE_CHECKING:
    from reconciler.store.tokens import Role

ROLES = ("view", "edit", "admin")


@click.group("token", cls=VerbGroup, short_help="Create, list and revoke tokens of the Kubernetes API.")
def command() -> None:
    """Bearer tokens and client certificates of the Kubernetes API, which `vaultctl run --api` serves.

    The state directory has only their digests. A revoked one is refused at once. `vaultctl kubeconfig` creates both.
    """


@command.command(
    "create",
    cls=Verb,
    short_help="Create a token and print it once.",
    examples=[
        ("vaultctl token create anna --role edit --expires 90d", "for a person who changes services"),
        ("vaultctl token create dashboard", "for a program that only reads"),
    ],
)
@click.argument("user")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="view",
    show_default=True,
    help="What it allows: view reads, edit also writes, admin everything.",
)
@click.option("--expires", type=DURATION, help="How long it is valid; until it is revoked without.")
@pass_session
def create(session: Session, user: str, role: Role, expires: float | None) -> None:
    """Create a token for USER, a person or a program, and print it. It is shown only once."""
    now = datetime.now(UTC)
    _, text = session.tokens.create(user, role, None if expires is None else now + timedelta(seconds=expires))
    click.echo(text)


@command.command(
    "list",
    cls=Verb,
    short_help="List the tokens.",
    examples=[
        ("vaultctl token list", "their IDs, users, roles and ages"),
        ("vaultctl token list -o json", "for scripts"),
    ],
)
@output_option("json", "yaml")
@pass_session
def list_(session: Session, output: str | None) -> None:
    """List the tokens and client certificates, also those that have expired. The ID is a part of the token."""
    now = datetime.now(UTC)
    tokens = session.tokens.list()
    rows = [
        (
            each.id,
            each.user,
            each.role,
            each.way,
            age(datetime.fromisoformat(each.created), now),
            _validity(each.expires, now),
        )
        for each in tokens
    ]
    documents = [
        {
            "id": each.id,
            "user": each.user,
            "role": each.role,
            "way": each.way,
            "created": each.created,
            "expires": each.expires,
        }
        for each in tokens
    ]
    write(output, documents, lambda: table(("ID", "USER", "ROLE", "WAY", "AGE", "EXPIRES"), rows))


@command.command(
    "revoke",
    cls=Verb,
    short_help="Revoke a token.",
    examples=[("vaultctl token revoke 3f2a9c1e", "the one of that ID")],
)
@click.argument("identifier", metavar="ID")
@pass_session
def revoke(session: Session, identifier: str) -> None:
    """Revoke the token or the client certificate with this ID. Running controllers refuse it at once."""
    found = session.tokens.revoke(identifier)
    if found is None:
        raise Failure(f"there is no token {identifier!r}; see: vaultctl token list")
    click.echo(f"{found.way} {found.id} of {found.user} revoked")


def _validity(expires: str | None, now: datetime) -> str:
    if expires is None:
        return "never"
    end = datetime.fromisoformat(expires)
    return "expired" if end <= now else f"in {age(now, end)}"
