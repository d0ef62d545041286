"""`vaultctl prometheus`: the configuration to scrape the controller and every HAProxy."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.cli.errors import Failure
from reconciler.cli.output import warn
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import VerbGroup
from reconciler.files import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.controller.report.board import Exporter

DEFAULT_CONTROLLER: Final = "127.0.0.1:9180"
READABLE: Final = 0o644
"""Prometheus reads it as a user of its own."""
REFRESH: Final = "15s"
INTERVAL: Final = "15s"
SCOPES: Final = ("global", "frontend", "backend")
"""The scopes to scrape from HAProxy. Not `server`: servers are containers, and each rollout would leave stale series."""


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
@click.option(
    "--controller",
    default=DEFAULT_CONTROLLER,
    show_default=True,
    metavar="HOST:PORT",
    help="Where `vaultctl run` listens, as Prometheus reaches it.",
)
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

    scheme = "https" if https else "http"
    client: dict[str, Any] = {}
    if ca_file:
        client["tls_config"] = {"ca_file": ca_file}
    if token_file:
        client["authorization"] = {"type": "Bearer", "credentials_file": token_file}
    discovery = (
        {"file_sd_configs": [{"files": [proxies_file]}]}
        if proxies_file
        else {
            "http_sd_configs": [
                {"url": _discovery_url(scheme, controller), "refresh_interval": REFRESH, **client}
            ]
        }
    )
    document = {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        **({"rule_files": [_rules()]} if rules else {}),
        "scrape_configs": [
            {
                "job_name": "vault-controller",
                "scheme": scheme,
                "static_configs": [{"targets": [controller]}],
                **client,
            },
            {"job_name": "vault-proxy", "params": {"scope": list(SCOPES)}, **discovery},
            {"job_name": "vault-proxy-holds", "metrics_path": "/holds", **discovery},
        ],
    }
    # Through JSON, which has no references, so that YAML writes shared parts in both jobs.
    click.echo(yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False), nl=False)


@command.command(
    "targets",
    short_help="Print the HAProxies' addresses, for file_sd_configs.",
    examples=[
        ("vaultctl prometheus targets", "all HAProxies that run now, without a controller"),
        ("vaultctl prometheus targets -o /etc/prometheus/proxies.json", "replace the file atomically"),
    ],
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write into this file instead."
)
@pass_session
def targets(session: Session, output: Path | None) -> None:
    """Print the address of every HAProxy's own metrics as a list for `file_sd_configs`.

    For a Prometheus without access to the controller. The list is a snapshot: HAProxies are replaced from time to time.
    """
    from reconciler.cli.serving import target_of
    from reconciler.web.discovery import target_groups

    text = json.dumps(target_groups(map(target_of, _exporters(session))), indent=2)
    if output is None:
        click.echo(text)
        return
    try:
        replace(output, f"{text}\n".encode(), mode=READABLE)
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from error


def _exporters(session: Session) -> Iterator[Exporter]:
    from reconciler.api.errors import VaultError
    from reconciler.controller.report.board import exporters

    application = session.application
    for name in application.objects.names():
        stored = application.objects.get(name)
        if stored is None:
            continue
        try:
            stack = application.build(stored.resource)
            yield from exporters(application.proxy.front, stack, application.observe(stack).observed)
        except VaultError as error:
            warn(f"{name}: {error}")


def _discovery_url(scheme: str, controller: str) -> str:
    from reconciler.web.discovery import DISCOVERY_PATH

    return f"{scheme}://{controller}{DISCOVERY_PATH}"


def _rules() -> str:
    return os.fspath(Path(str(files("metrics"))) / "alerts" / "*.rules.yaml")
