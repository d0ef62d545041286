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
CERTIFICATE_LIFE = timedelta(days=90)


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
        (
            "vaultctl kubeconfig --user anna --role edit --client-certificate --expires 30d",
            "with a client certificate instead of a token",
        ),
    ],
)
@click.option(
    "--server",
    help=f"URL of `vaultctl run --api`. Default: {DEFAULT_SERVER}, or over the API that of the kubeconfig in use.",
)
@click.option("--user", default=NAME, show_default=True, help="Name of the user.")
@click.option(
    "--role",
    type=click.Choice(("view", "edit", "admin")),
    default="view",
    show_default=True,
    help="What the user may do; see `vaultctl token create`.",
)
@click.option(
    "--expires",
    type=DURATION,
    help="How long the token is valid; until it is revoked without. A certificate: 90 days without.",
)
@click.option(
    "--client-certificate", is_flag=True, help="With a client certificate and its key instead of a token."
)
@pass_session
def command(
    session: Session,
    server: str | None,
    user: str,
    role: Role,
    expires: float | None,
    client_certificate: bool,
) -> None:
    """Create a token and print a kubeconfig with it and with the certificate that the API is recognised by.

    The output is a secret: keep it in a file that others cannot read. `vaultctl token list` shows what was created, client
    certificates too, and `vaultctl token revoke` ends it at once.
    """
    from reconciler.api.yaml_writing import document as written_out

    if client_certificate and session.remote is not None:
        raise Failure(
            "a client certificate is only made on the machine of the controller; a token works from here"
        )
    authority = _authority(session)
    now = datetime.now(UTC)
    life = None if expires is None else timedelta(seconds=expires)
    if client_certificate:
        login = _certificate(session, user, role, life or CERTIFICATE_LIFE, now)
    else:
        login = {"token": session.tokens.create(user, role, None if life is None else now + life)[1]}
    cluster = {"server": server or (session.target.server if session.remote else DEFAULT_SERVER)}
    if authority:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": user, "user": login}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": user, "namespace": "default"}}],
        "current-context": NAME,
    }
    click.echo(written_out(config, readable=True), nl=False)


def _authority(session: Session) -> bytes:
    """The authority that the API is recognised by (PEM); empty for those of the machine. Raises Failure."""
    if session.remote is not None:
        return session.target.authorities.encode()
    path = session.state_dir.absolute() / "api" / "ca.crt"
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(
            f"cannot read {path}: {error.strerror}; start the controller with --api once, which creates it"
        ) from error


def _certificate(session: Session, user: str, role: Role, life: timedelta, now: datetime) -> dict[str, str]:
    """The login of a user with a new certificate."""
    from reconciler.certificates.serving import issue_client
    from reconciler.store.tokens import check_user

    check_user(user)
    directory = session.state_dir.absolute() / "api"
    issued = issue_client(directory, user, f"vault:{role}", life, now)
    if issued is None:
        raise Failure(
            f"cannot read the authority of the API in {directory}: start the controller with --api once, which makes it"
        )
    session.tokens.add_certificate(user, role, now + life, issued.fingerprint)
    return {
        "client-certificate-data": base64.b64encode(issued.certificate).decode(),
        "client-key-data": base64.b64encode(issued.key).decode(),
    }
