"""Tells Prometheus where the HAProxies are, in the form of its `http_sd_configs`.

They come and go with rollouts of their own, so a list that somebody keeps by hand is wrong by tomorrow. When the
controller is away, Prometheus keeps the last list that it got.
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
    """One thing to scrape: "host:port", and the labels of everything that comes from it."""

    address: str
    labels: Mapping[str, str]


def target_groups(targets: Iterable[Target]) -> list[dict[str, object]]:
    """The targets as `http_sd_configs` and `file_sd_configs` want them, in a stable order."""
    ordered = sorted(targets, key=lambda target: (sorted(target.labels.items()), target.address))
    return [{"targets": [target.address], "labels": dict(target.labels)} for target in ordered]


def discovery_route(targets: Callable[[], Iterable[Target]]) -> Route:
    """The route that answers with what `targets` returns, which has to come from memory."""

    async def serve(request: Request) -> JSONResponse:
        return JSONResponse(target_groups(targets()), headers={"Cache-Control": "no-store"})

    return Route(DISCOVERY_PATH, serve)
