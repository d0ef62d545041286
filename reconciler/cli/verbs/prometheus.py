"""`vaultctl prometheus`: the configuration to scrape the controller and every HAProxy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from reconciler.cli.errors import Failure
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import VerbGroup
from reconciler.files import replace

DEFAULT_CONTROLLER: Final = "127.0.0.1:9180"
READABLE: Final = 0o644
"""Prometheus reads it as a user of its own."""


_controller: Final = click.option(
    "--controller",
    default=DEFAULT_CONTROLLER,
    show_default=True,
    metavar="HOST:PORT",
    help="Where `vaultctl run` listens, as Prometheus reaches it.",
)


@click.group("prometheus", cls=VerbGroup, short_help="Print the configuration for Prometheus.")
def command() -> None:
    """Print the configuration for Prometheus: scrape configuration, alert rules, and the HAProxies' addresses."""


@command.command(
    "config",
    short_help="Print a scrape configuration.",
    examples=[
        ("vaultctl prometheus config > prometheus.yml", "controller, HAProxies and alert rules"),
        ("vaultctl prometheus config --proxies-file proxies.json", "with the file of `targets -o`"),
        (
            "vaultctl prometheus config --controller vault.internal:9180 --https --token-file token",
            "for a controller elsewhere",
        ),
    ],
)
@_controller
@click.option("--https", is_flag=True, help="The controller serves HTTPS (`run --tls-cert`).")
@click.option("--ca-file", help="CA of its certificate, as a path on Prometheus' machine.")
@click.option("--token-file", help="File with its bearer token, as a path on Prometheus' machine.")
@click.option(
    "--proxies-file", help="Find the HAProxies in this file of `targets -o`, not by asking the controller."
)
@click.option(
    "--rules/--no-rules", default=True, show_default=True, help="Load the alert rules shipped here."
)
def config(
    controller: str,
    https: bool,
    ca_file: str | None,
    token_file: str | None,
    proxies_file: str | None,
    rules: bool,
) -> None:
    """Print a configuration for Prometheus that scrapes the controller and the HAProxy of every service.

    The HAProxies are found by asking the controller, so new services need no edit. Their metrics are on the address of
    their gateway container, which is reachable from the engine's machine; they are not published.
    """
    import yaml

    from reconciler.app.scraping import Scrape, scrape_configuration
    from reconciler.web.discovery import DISCOVERY_PATH

    document = scrape_configuration(
        Scrape(controller, DISCOVERY_PATH, https, ca_file, token_file, proxies_file, rules)
    )
    # Through JSON, which has no references, so that YAML writes shared parts in both jobs.
    click.echo(yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False), nl=False)


@command.command(
    "targets",
    short_help="Print the HAProxies' addresses, for file_sd_configs.",
    examples=[
        ("vaultctl prometheus targets", "all HAProxies that run now, without a controller"),
        ("vaultctl prometheus targets -o /etc/prometheus/proxies.json", "replace the file atomically"),
        (
            "vaultctl prometheus targets --controller vault.internal:9180",
            "with HAProxies of other nodes, which the controller asks",
        ),
    ],
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write into this file instead."
)
@_controller
@pass_session
def targets(session: Session, controller: str, output: Path | None) -> None:
    """Print the address of every HAProxy's own metrics as a list for `file_sd_configs`.

    For a Prometheus without access to the controller. The list is a snapshot: HAProxies are replaced from time to time.
    Those of a gateway with nodeSelector open no port on their nodes: their metrics are pages of the controller.
    """
    from reconciler.cli.serving import target_of
    from reconciler.web.discovery import target_groups

    text = json.dumps(target_groups(map(target_of, session.views.exporters()), controller), indent=2)
    if output is None:
        click.echo(text)
        return
    try:
        replace(output, f"{text}\n".encode(), mode=READABLE)
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from error
