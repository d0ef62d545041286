"""What Prometheus needs to know: its configuration, and where the proxies that run now serve their metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import VaultError
from reconciler.controller.report.board import Exporter, exporters

if TYPE_CHECKING:
    from reconciler.app.preparing import Build
    from reconciler.core.assess.assessment import Assessment
    from reconciler.core.desired.stack import Stack
    from reconciler.core.plan.front import FrontDoor
    from reconciler.store.base import Objects

__all__ = ["Scrape", "running_exporters", "scrape_configuration"]

REFRESH: Final = "15s"
INTERVAL: Final = "15s"
SCOPES: Final = ("global", "frontend", "backend")
"""The scopes to scrape from HAProxy. Not `server`: servers are containers, and each rollout would leave stale series."""

POOLS: Final = "[hszygtp][0-9]{3}"
"""Pools of a gateway, most of which are spare; routes have series of their own."""


@dataclass(frozen=True)
class Scrape:
    """How Prometheus reaches the controller at `controller` ("HOST:PORT"). Files are paths on Prometheus' machine.

    `discovery` is the path where the controller lists the proxies; they are found in `proxies_file` instead, if given.
    """

    controller: str
    discovery: str
    https: bool = False
    ca_file: str | None = None
    token_file: str | None = None
    proxies_file: str | None = None
    rules: bool = True


def scrape_configuration(scrape: Scrape) -> dict[str, Any]:
    """The configuration of a Prometheus that scrapes the controller and all proxies."""
    scheme = "https" if scrape.https else "http"
    client: dict[str, Any] = {}
    if scrape.ca_file:
        client["tls_config"] = {"ca_file": scrape.ca_file}
    if scrape.token_file:
        client["authorization"] = {"type": "Bearer", "credentials_file": scrape.token_file}
    url = f"{scheme}://{scrape.controller}{scrape.discovery}"
    discovery = (
        {"file_sd_configs": [{"files": [scrape.proxies_file]}]}
        if scrape.proxies_file
        else {"http_sd_configs": [{"url": url, "refresh_interval": REFRESH, **client}]}
    )
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        **({"rule_files": [_rules()]} if scrape.rules else {}),
        "scrape_configs": [
            {
                "job_name": "vault-controller",
                "scheme": scheme,
                "static_configs": [{"targets": [scrape.controller]}],
                **client,
            },
            {
                "job_name": "vault-proxy",
                "params": {"scope": list(SCOPES)},
                **discovery,
                "relabel_configs": [_on_nodes("drop")],
                "metric_relabel_configs": [{"source_labels": ["proxy"], "regex": POOLS, "action": "drop"}],
            },
            {
                "job_name": "vault-proxy-holds",
                "metrics_path": "/holds",
                **discovery,
                "relabel_configs": [_on_nodes("drop")],
            },
            {
                # Pages of the controller, which gets them from agents. No other target is sent its credential.
                "job_name": "vault-proxy-nodes",
                "scheme": scheme,
                **discovery,
                "relabel_configs": [_on_nodes("keep")],
                **client,
            },
        ],
    }


def _on_nodes(action: str) -> dict[str, Any]:
    """What is done with the targets that are HAProxies of other nodes."""
    return {"source_labels": ["node"], "regex": ".+", "action": action}


def running_exporters(
    objects: Objects,
    build: Build,
    observe: Callable[[Stack], Assessment],
    front: FrontDoor,
    warn: Callable[[str], None],
) -> Iterator[Exporter]:
    """The metrics addresses of all proxies that run now; `warn` is told of services that cannot be observed."""
    for name in objects.names():
        stored = objects.get(name)
        if stored is None:
            continue
        try:
            stack = build(stored.resource, Path())
            yield from exporters(front, stack, observe(stack).observed)
        except VaultError as error:
            warn(f"{name}: {error}")


def _rules() -> str:
    return os.fspath(Path(str(files("metrics"))) / "alerts" / "*.rules.yaml")
