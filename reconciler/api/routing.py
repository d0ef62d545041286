"""What a service claims of gateways, that its own claims do not contradict each other, and the files that they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic_core import PydanticCustomError

from reconciler.api.protection import Auth, BasicAuth
from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.tls import CertificateFiles

__all__ = ["check_claims", "files_of", "with_files"]


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


def files_of(field: str, route: Route) -> Mapping[str, str]:
    """The files that a route names, by the fields that do; `field` is that of the route."""
    files = {}
    if route.auth is not None and route.auth.basic is not None:
        files[f"{field}.auth.basic.file"] = route.auth.basic.file
    if route.tls.files is not None:
        files[f"{field}.tls.files.chain"] = route.tls.files.chain
        files[f"{field}.tls.files.key"] = route.tls.files.key
    return files


def with_files(route: Route, files: Iterator[str]) -> Route:
    """The route with the next ones of these files in place of its own, in their order. Raises ValidationError."""
    auth, tls = route.auth, route.tls
    if auth is not None and auth.basic is not None:
        auth = Auth(basic=BasicAuth(file=next(files), realm=auth.basic.realm))
    if tls.files is not None:
        tls = tls.model_copy(update={"files": CertificateFiles(chain=next(files), key=next(files))})
    return route.model_copy(update={"auth": auth, "tls": tls})


def _each_once(claims: Iterable[tuple[str | None, str, str, str]]) -> None:
    known: set[tuple[str | None, str, str]] = set()
    for *key, shown in claims:
        gateway, host, place = key
        if (gateway, str(host), str(place)) in known:
            raise PydanticCustomError("claims", "must claim {what} only once", {"what": shown})
        known.add((gateway, str(host), str(place)))
