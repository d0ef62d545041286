"""What a service claims of gateways, and that its own claims do not contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic_core import PydanticCustomError

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute

__all__ = ["check_claims"]


def check_claims(route: Route | None, routes: Sequence[Route], tcp: Iterable[TcpRoute]) -> None:
    """Raise an error for both `route` and `routes`, and for a host and path, or a port and name, that is claimed twice."""
    if route is not None and routes:
        raise ValueError("must have route for a single one, or routes for several")
    _each_once(
        (each.gateway, host, each.path.rstrip("/"), f"{host}{each.path}")
        for each in ([route] if route else routes)
        for host in each.hostnames
    )
    _each_once(
        (each.gateway, host, str(each.port), f"port {each.port}{f' of {host}' if host else ''}")
        for each in tcp
        for host in each.hostnames or ("",)
    )


def _each_once(claims: Iterable[tuple[str | None, str, str, str]]) -> None:
    known: set[tuple[str | None, str, str]] = set()
    for *key, shown in claims:
        gateway, host, place = key
        if (gateway, str(host), str(place)) in known:
            raise PydanticCustomError("claims", "must claim {what} only once", {"what": shown})
        known.add((gateway, str(host), str(place)))
