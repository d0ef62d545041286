"""Lists the HAProxy containers for Prometheus, in the format of `http_sd_configs`.

Those of other nodes are listed at the address of the controller, which passes their metrics on (relayed.py). HAProxy
containers are added and removed with services, so a static list would become outdated. While the controller is
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
    """One scrape target: "host:port", and the labels of its series. Without an address it is one of the
    controller's own.
    """

    address: str
    labels: Mapping[str, str]


def target_groups(targets: Iterable[Target], controller: str) -> list[dict[str, object]]:
    """The targets in the format of `http_sd_configs` and `file_sd_configs`, in a stable order. `controller` is its
    "host:port" as Prometheus reaches it.
    """
    ordered = sorted(targets, key=lambda target: (sorted(target.labels.items()), target.address))
    return [{"targets": [each.address or controller], "labels": dict(each.labels)} for each in ordered]


def discovery_route(targets: Callable[[], Iterable[Target]]) -> Route:
    """The route that serves `targets`, which must return from memory."""

    async def serve(request: Request) -> JSONResponse:
        # Prometheus has just reached it there.
        groups = target_groups(targets(), request.url.netloc)
        return JSONResponse(groups, headers={"Cache-Control": "no-store"})

    return Route(DISCOVERY_PATH, serve)
