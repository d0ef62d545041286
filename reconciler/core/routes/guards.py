"""What the `auth` of routes comes to: their logins and auth services, and the routes that are closed for want of one.

A pure function of a table and of the files that its routes name. The gateway's pass closes these routes, and the pass of
their service says why. What cannot be checked is never let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.api.reasons import Reason
from reconciler.core.routes.logins import Logins, LoginsError
from reconciler.core.routes.table import Table

__all__ = ["Closure", "LoginFiles", "answering", "closures", "identities", "login_files", "logins_of"]

LoginFiles = Mapping[str, Logins | LoginsError]
"""What each file of logins has, or why it cannot be used, by its path."""

REMOTE: Final = ("Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email")
"""Headers that applications believe to name a user that a proxy has checked."""
CREDENTIALS: Final = frozenset({"authorization", "cookie"})
"""Headers by which clients themselves say who they are."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A route that answers no request because its `auth` cannot be checked: the word for programs, and a sentence."""

    route: str
    service: str
    why: Reason
    message: str


def login_files(table: Table) -> frozenset[str]:
    """The files of logins that routes name."""
    return frozenset(
        route.auth.basic.file for route in table.routes.values() if route.auth and route.auth.basic
    )


def logins_of(table: Table, files: LoginFiles) -> Mapping[str, Logins]:
    """The logins of the routes whose file has some, by the route's id."""
    found = {
        name: files.get(route.auth.basic.file)
        for name, route in table.routes.items()
        if route.auth and route.auth.basic
    }
    return {name: logins for name, logins in found.items() if isinstance(logins, Logins)}


def answering(table: Table, service: str) -> str | None:
    """The id of the route of an auth service whose replicas are asked: a plain one, by the shortest path."""
    routes = [
        (route.compression or route.sticky is not None, route.port is not None, len(route.path), name)
        for name, route in table.routes.items()
        if table.services[name] == service and route.redirect is None
    ]
    return min(routes)[-1] if routes else None


def identities(table: Table) -> Mapping[str, tuple[str, ...]]:
    """The headers that say who the user is, which clients must not send, for each route of a service with `auth`; also of
    its routes without, since the same application believes them there. Those keep the credentials of clients.
    """
    names: dict[str, set[str]] = {}
    for route, its in table.routes.items():
        if its.auth is not None:
            more = its.auth.forward.response_headers if its.auth.forward else ()
            names.setdefault(table.services[route], set()).update(name.lower() for name in (*REMOTE, *more))
    return {
        route: tuple(sorted(names[table.services[route]] - (set() if its.auth else CREDENTIALS)))
        for route, its in table.routes.items()
        if table.services[route] in names and its.redirect is None
    }


def closures(table: Table, files: LoginFiles) -> Iterator[Closure]:
    """The routes of a gateway that are closed, in order of their ids."""
    for name, route in table.routes.items():
        if route.auth is None:
            continue
        closed = f"{route.hostnames[0]}{route.path} is closed"
        if route.auth.basic is not None:
            logins = files.get(route.auth.basic.file)
            if not isinstance(logins, Logins):
                problem = logins or f"{route.auth.basic.file}: was not read"
                yield Closure(name, table.services[name], Reason.LOGINS_UNUSABLE, f"{closed}: {problem}")
        service = route.auth.forward.service if route.auth.forward else None
        if service is not None and answering(table, service) is None:
            message = (
                f"{closed}: auth.forward asks service {service}, which has no route on gateway {table.gateway}; give "
                "it one, or name another service"
            )
            yield Closure(name, table.services[name], Reason.NO_AUTH_SERVICE, message)
