"""`vaultctl kubeconfig`: print a kubeconfig for the Kubernetes API, with a new token."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.store.tokens import Role

DEFAULT_SERVER = "https://127.0.0.1:6443"
NAME = "vault"


@click.command(
    "kubeconfig",
    cls=Verb,
    short_help="Print a kubeconfig for the Kubernetes API.",
    examples=[
        (
            "vaultctl kubeconfig --role edit > ~/.kube/vault",
            "then: kubectl --kubeconfig ~/.kube/vault get vs",
        ),
        (
            "vaultctl kubeconfig --user anna --server https://vault.example.com:6443 --expires 90d",
            "for another machine; start the controller with --api 0.0.0.0:6443",
        ),
    ],
)
@click.option("--server", default=DEFAULT_SERVER, show_default=True, help="URL of `vaultctl run --api`.")
@click.option("--user", default=NAME, show_default=True, help="User of the token.")
@click.option(
    "--role",
    type=click.Choice(("view", "edit", "admin")),
    default="view",
    show_default=True,
    help="What the token allows; see `vaultctl token create`.",
)
@click.option("--expires", type=DURATION, help="How long the token is valid; until it is revoked without.")
@pass_session
def command(session: Session, server: str, user: str, role: Role, expires: float | None) -> None:
    """Create a token and print a kubeconfig with it and with the certificate that the API is recognised by.

    The output is a secret: keep it in a file that others cannot read.
    """
    from reconciler.api.yaml_writing import document as written_out
    from reconciler.store.tokens import Tokens

    state = session.state_dir.absolute()
    authority = state / "api" / "ca.crt"
    try:
        certificate = base64.b64encode(authority.read_bytes()).decode()
    except OSError as error:
        raise Failure(
            f"cannot read {authority}: {error.strerror}; start the controller with --api once, which creates it"
        ) from error
    now = datetime.now(UTC)
    tokens = Tokens(state, lambda: now)
    _, text = tokens.create(user, role, None if expires is None else now + timedelta(seconds=expires))
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": NAME, "cluster": {"server": server, "certificate-authority-data": certificate}}
        ],
        "users": [{"name": user, "user": {"token": text}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": user, "namespace": "default"}}],
        "current-context": NAME,
    }
    click.echo(written_out(config, readable=True), nl=False)
