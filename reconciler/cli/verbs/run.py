"""`vaultctl run`: the controller, until it is stopped. Containers keep running without it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.api_options import ApiFlags, api_options
from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.git_options import GitFlags, git_options, read_secret
from reconciler.cli.manifests import file_option
from reconciler.cli.session import Session, pass_session
from reconciler.cli.signals import stop_on_signals
from reconciler.cli.verb import Verb
from reconciler.wiring.engines import ENGINES

if TYPE_CHECKING:
    from reconciler.controller.notify.notify import Choice
    from reconciler.sources.base import Source
    from reconciler.sources.git.command import Credentials
    from reconciler.wiring import Application, GitFollow

_log = logging.getLogger(__name__)

DEFAULT_LISTEN: Final = "127.0.0.1:9180"
NOWHERE: Final = "none"
READABLE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "run",
    cls=Verb,
    short_help="Run the controller: reconcile services with their manifests.",
    examples=[
        ("vaultctl run -f manifests/", "follow the manifests of a directory, and those of `apply`"),
        (
            "vaultctl run --git https://git.example.com/infra --path apps --webhook-secret-file hook.secret",
            "follow a branch of a Git repository, at once after a push",
        ),
        ("vaultctl run", "only the manifests of `apply`"),
        ("vaultctl run -f manifests/ --log-format json --listen 0.0.0.0:9180", "in a container"),
        ("vaultctl run --engine swarm -f manifests/", "with instances on all nodes of a Docker Swarm"),
        ("vaultctl run --api 127.0.0.1:6443", "with the Kubernetes API; see `vaultctl kubeconfig`"),
        ("vaultctl run --agents 10.0.0.1:9444", "and enrol agents of other nodes; see `vaultctl agent`"),
        ("vaultctl run --ui 127.0.0.1:8443", "with the page for browsers; see `vaultctl user set-password`"),
        (
            "vaultctl run --api 0.0.0.0:6443 --oidc-issuer-url https://id.example.org --oidc-client-id vault "
            "--oidc-groups-claim groups --grant edit=group:deployers",
            "and members of a group of the identity provider may change services",
        ),
        (
            "vaultctl run --ui 0.0.0.0:8443 --ui-url https://vault.example.org --oidc-issuer-url https://id.example.org "
            "--oidc-client-id vault --oidc-groups-claim groups --grant edit=group:deployers",
            "and they log in to the page there",
        ),
    ],
)
@file_option(required=False)
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    envvar="VAULT_LISTEN",
    show_envvar=True,
    help=f"HOST:PORT of /metrics, /healthz and /readyz; {NOWHERE}: do not listen.",
)
@click.option(
    "--api",
    envvar="VAULT_API",
    show_envvar=True,
    help="HOST:PORT of the Kubernetes API (HTTPS, with bearer tokens), which kubectl speaks; none by default.",
)
@api_options
@click.option(
    "--ui",
    envvar="VAULT_UI",
    show_envvar=True,
    help="HOST:PORT of the page (HTTPS, with --tls-cert or a certificate of the state directory); none by default.",
)
@click.option(
    "--agents",
    envvar="VAULT_AGENTS",
    show_envvar=True,
    help="ADDRESS:PORT where agents of other nodes are enrolled (see `vaultctl agent`); none by default.",
)
@click.option(
    "--tls-cert",
    type=READABLE,
    envvar="VAULT_TLS_CERT",
    show_envvar=True,
    help="PEM certificate: serve HTTPS.",
)
@click.option(
    "--tls-key", type=READABLE, envvar="VAULT_TLS_KEY", show_envvar=True, help="Private key of --tls-cert."
)
@click.option(
    "--auth-file",
    type=READABLE,
    envvar="VAULT_AUTH_FILE",
    show_envvar=True,
    help='Ask for a credential, except on /healthz and /readyz: "bearer TOKEN" or "basic USER:PASSWORD" on each line.',
)
@click.option(
    "--max-prune",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Delete no services when more than this many vanish from a source at once.",
)
@click.option(
    "--engine",
    type=click.Choice(tuple(ENGINES)),
    envvar="VAULT_ENGINE",
    show_envvar=True,
    help="Where services run: on this host by Docker Compose, or on the nodes of a Docker Swarm, of which this is a "
    "manager; see docs/swarm.md. The state directory keeps the choice; at first it is compose.",
)
@click.option(
    "--revision-key",
    type=READABLE,
    envvar="VAULT_REVISION_KEY",
    show_envvar=True,
    help="File with the key of revisions, for state directories that share one: a Swarm's secret is mounted there.",
)
@click.option(
    "--state-key",
    type=READABLE,
    envvar="VAULT_STATE_KEY",
    show_envvar=True,
    help="File with an age identity: users, tokens, authorities and certificates follow the controller to other nodes of a "
    "Swarm, as configs that are encrypted to it; see docs/swarm.md.",
)
@click.option(
    "--agent-image",
    envvar="VAULT_AGENT_IMAGE",
    show_envvar=True,
    help="Image with vaultctl of the agents that are deployed to nodes of a Swarm; at first "
    "vault-reconciler/controller:latest.",
)
@click.option("--allow-empty", is_flag=True, help="Delete all services that vanish, even all at once.")
@click.option(
    "--notify-url-file",
    type=READABLE,
    help="Post events as JSON to the URL in this file; Slack, Mattermost and similar show them.",
)
@click.option(
    "--notify",
    type=click.Choice(["important", "warnings", "all"]),
    default="important",
    show_default=True,
    help="Which events: important ones are warnings, new commits and rollouts that are complete.",
)
@git_options
@click.option(
    "--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Number of parallel passes."
)
@click.option(
    "--resync",
    type=DURATION,
    default="1m",
    show_default=True,
    help="Interval between passes over a service that nothing happens to; longer with more than 12 of them.",
)
@pass_session
def command(
    session: Session,
    files: Sequence[Path],
    listen: str,
    api: str | None,
    clients: ApiFlags,
    ui: str | None,
    engine: str | None,
    revision_key: Path | None,
    state_key: Path | None,
    agents: str | None,
    agent_image: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    auth_file: Path | None,
    workers: int,
    resync: float,
    max_prune: int,
    allow_empty: bool,
    notify_url_file: Path | None,
    notify: Choice,
    git: GitFlags,
) -> None:
    """Reconcile services: those of the given manifests, and those that `vaultctl apply` stores.

    Spec changes, crashes and manual changes each start a pass at once. SIGTERM or Ctrl-C finishes the current passes and
    leaves the services running; a second one exits at once.
    """
    from reconciler.cli.garbage import collect_as_usual
    from reconciler.cli.serving import serving
    from reconciler.sources.directory import DirectorySource
    from reconciler.web.access import Access
    from reconciler.web.server import Tls

    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both")
    tls = Tls(tls_cert, tls_key) if tls_cert and tls_key else None
    access = Access.read(auth_file) if auth_file else None
    application = session.wire(
        verbose=True,
        workers=workers,
        resync=resync,
        agents=agents or "",
        agent_image=agent_image,
        state_key=state_key,
    )
    if application.controller_is_running():
        raise Failure(
            f"a controller runs on {session.state_dir} already: stop it, or choose another --state-dir"
        )
    if engine:
        application.choose_engine(engine)
    if revision_key:
        application.take_revision_key(revision_key)
    # Before anything is served: authorities and logins that are missing would be made anew.
    application.take_over_state()
    # A controller whose keys cannot be used would stop all that needs them, one by one.
    application.settings.keyring.load()
    followed = _follow(application, git)
    sources: list[Source] = [*(DirectorySource(path) for path in files), *(each.source for each in followed)]
    controller = application.controller(sources, max_prune=max_prune, allow_empty=allow_empty)
    stop = stop_on_signals()
    with ExitStack() as services:
        if listen != NOWHERE:
            web = serving(
                application,
                controller,
                listen,
                tls=tls,
                access=access,
                followed=followed,
                webhook_secret=read_secret(git.webhook_secret_file) if git.webhook_secret_file else b"",
            )
            _log.info("metrics and health on %s", services.enter_context(web))
        if api or ui:
            from reconciler.cli.api_serving import observing, serving_api

            parts = services.enter_context(observing(application, git.secrets_dirs, clients))
            if api:
                served = serving_api(application, api, flags=clients, parts=parts)
                _log.info("Kubernetes API on %s", services.enter_context(served))
            if ui:
                from reconciler.cli.ui_serving import serving_ui

                signed = git.verify_signatures
                page = serving_ui(
                    application,
                    ui,
                    parts,
                    tls,
                    _credentials(git),
                    signed=signed,
                    followed=followed,
                    flags=clients,
                    queues=controller.queues,
                )
                _log.info("page on %s", services.enter_context(page))
        if agents:
            from reconciler.cli.agent_serving import enrolling

            _log.info(
                "enrolment of agents on %s", services.enter_context(enrolling(application.agents, agents))
            )
        if notify_url_file:
            url = read_secret(notify_url_file).decode(errors="replace")
            application.keep_telling(application.notifier(url, notify), stop)
        if git.commit_status_url and git.commit_status_token_file:
            token = read_secret(git.commit_status_token_file).decode(errors="replace")
            for each in followed:
                status = application.commit_status(each, git.commit_status_url, token, git.commit_status_name)
                application.keep_telling(status, stop)
        if not application.engine.capabilities.one_node:
            application.node_board.keep(stop)
        application.keep_updating_images(stop, pushes=git.push_images, credentials=_credentials(git))
        _log.info("controller of %s, pid %d", session.state_dir, os.getpid())
        collect_as_usual()
        controller.run(stop)


def _follow(application: Application, git: GitFlags) -> tuple[GitFollow, ...]:
    """The branch to follow, if one was named."""
    from reconciler.sources.git.address import parse_address
    from reconciler.sources.git.trust import Trust

    if git.git_url is None:
        return ()
    trust = Trust(git.allowed_signers, git.gpg_home) if git.verify_signatures else None
    return (
        application.follow(
            parse_address(git.git_url, git.branch, git.path),
            interval=git.interval,
            credentials=_credentials(git),
            trust=trust,
            allow_rewind=git.allow_rewind,
            secrets=git.secrets_dirs,
        ),
    )


def _credentials(git: GitFlags) -> Credentials:
    from reconciler.sources.git.command import Credentials

    return Credentials(git.git_credentials, git.ssh_key, git.known_hosts)
