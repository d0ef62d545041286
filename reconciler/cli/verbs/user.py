"""`vaultctl user`: the people who may log in to the page."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, table
from reconciler.cli.verb import Verb, VerbGroup

if TYPE_CHECKING:
    from reconciler.store.tokens import Role

ROLES = ("view", "edit", "admin")


@click.group("user", cls=VerbGroup, short_help="Set passwords of the page, list and delete its users.")
def command() -> None:
    """The people who may log in to the page, which `vaultctl run --ui` serves.

    The state directory has only digests of their passwords. Changes count at once, also for sessions that are open.
    """


@command.command(
    "set-password",
    cls=Verb,
    short_help="Add a user, or set another password.",
    examples=[
        ("vaultctl user set-password anna", "asks for the password twice; a new user is an admin"),
        ("vaultctl user set-password guest --role view", "a user who only reads"),
        ("vaultctl user set-password anna --stdin < password.txt", "the first line, for scripts"),
    ],
)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="What it allows: view reads, edit also writes, admin everything. Default: as before, admin for a new user.",
)
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read the password from the first line of standard input."
)
@pass_session
def set_password(session: Session, name: str, role: Role | None, from_stdin: bool) -> None:
    """Set the password of the user NAME, and add the user if there is none. All of the user's sessions end."""
    from reconciler.store.tokens import check_user

    check_user(name)
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    user = session.users.set_password(name, password, role)
    click.echo(f"{user.name} may log in, with the role {user.role}")


@command.command(
    "list",
    cls=Verb,
    short_help="List the users.",
    examples=[
        ("vaultctl user list", "their roles, and the age of their passwords"),
        ("vaultctl user list -o json", "for scripts"),
    ],
)
@output_option("json", "yaml")
@pass_session
def list_(session: Session, output: str | None) -> None:
    """List the users of the page."""
    now = datetime.now(UTC)
    users = session.users.list()
    documents = [{"name": each.name, "role": each.role, "changed": each.changed} for each in users]
    rows = [(each.name, each.role, age(datetime.fromisoformat(each.changed), now)) for each in users]
    write(output, documents, lambda: table(("NAME", "ROLE", "PASSWORD SET"), rows))


@command.command(
    "delete",
    cls=Verb,
    short_help="Delete a user.",
    examples=[("vaultctl user delete guest", "all of the user's sessions end")],
)
@click.argument("name")
@pass_session
def delete(session: Session, name: str) -> None:
    """Delete the user NAME. Running controllers end the user's sessions at once."""
    if not session.users.remove(name):
        raise Failure(f"there is no user {name!r}; see: vaultctl user list")
    click.echo(f"user {name} deleted")
