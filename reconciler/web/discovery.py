"""Lists the HAProxy containers for Prometheus, in the format of `http_sd_configs`.

HAProxy containers are added and removed with services, so a static list would become outdated. While the controller is
down, Prometheus keeps the last list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

__all__ = ["DISCOVERY_PATH", "Target", "discovery_route", "target_groups"]

DISCOVERY_PATH: Final = "/discovery/proxies"


@dataclass(frozen=True, slots=True)
class Target:
    """One scrape target: "host:port", and the labels of its series."""

    address: str
    labels: Mapping[str, str]


def target_groups(targets: Iterable[Target]) -> list[dict[str, object]]:
    """The targets in the format of `http_sd_configs` and `file_sd_configs`, in a stable order."""
    ordered = sorted(targets, key=lambda target: (sorted(target.labels.items()), target.address))
    return [{"targets": [target.address], "labels": dict(target.labels)} for target in ordered]


def discovery_route(targets: Callable[[], Iterable[Target]]) -> Route:
    """The route that serves `targets`, which must return from memory."""

    async def serve(request: Request) -> JSONResponse:
        return JSONResponse(target_groups(targets()), headers={"Cache-Control": "no-store"})

    return Route(DISCOVERY_PATH, serve)
