"""Which routes are closed because their `auth` cannot be checked, and whose headers are believed where."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.api.reasons import Reason
from reconciler.api.route import Route
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.guards import LoginFiles, answering, closures, identities, login_files, logins_of
from reconciler.core.routes.logins import Logins, LoginsError
from reconciler.core.routes.routed import routed_of
from reconciler.core.routes.table import Table, settle

SPEC = GatewaySpec(listeners=(Listener(name="http", port=80, protocol="HTTP"),))
GOOD = Logins({})


def table(**services: list[dict[str, Any]]) -> Table:
    claimants = [
        Claimant(
            name,
            datetime(2026, 5, 1, tzinfo=UTC),
            tuple(
                Route.model_validate({"hostnames": [f"{name}{number}.test"], **route}, by_alias=True)
                for number, route in enumerate(routes)
            ),
        )
        for name, routes in services.items()
    ]
    tables, refusals = settle({"main": SPEC}, claimants)
    assert not refusals
    return tables["main"]


def basic(file: str) -> dict[str, Any]:
    return {"auth": {"basic": {"file": file}}}


def forward(service: str, *headers: str) -> dict[str, Any]:
    more = {"responseHeaders": list(headers)} if headers else {}
    return {"auth": {"forward": {"service": service, **more}}}


def test_a_file_that_is_wrong_closes_the_routes_that_name_it() -> None:
    made = table(wiki=[basic("/a"), basic("/b")], files=[basic("/a")], mail=[{}])
    files: LoginFiles = {"/a": GOOD, "/b": LoginsError("/b:3: has no ':'")}

    assert login_files(made) == {"/a", "/b"}
    assert set(logins_of(made, files)) == {"wiki.0", "files.0"}
    (closure,) = closures(made, files)
    assert (closure.service, closure.why) == ("wiki", Reason.LOGINS_UNUSABLE)
    assert closure.message == "wiki1.test/ is closed: /b:3: has no ':'"
    # A file that was not read is none.
    assert [each.service for each in closures(made, {})] == ["files", "wiki", "wiki"]


def test_a_service_that_is_not_there_closes_the_routes_that_ask_it() -> None:
    gone = table(wiki=[forward("sso")], sso=[{"redirect": {"hostname": "x.test"}}])
    (closure,) = closures(gone, {})
    assert closure.why is Reason.NO_AUTH_SERVICE
    assert "auth.forward asks service sso, which has no route on gateway main" in closure.message
    assert not list(closures(table(wiki=[forward("sso")], sso=[{}]), {}))
    assert not list(closures(table(wiki=[{"auth": {"forward": {"url": "http://x"}}}]), {}))


def test_a_plain_pool_answers_before_others() -> None:
    made = table(sso=[{"sticky": "cookie"}, {"port": 9000}, {"path": "/ui"}, {"compression": True}])
    assert answering(made, "sso") == "sso.2"
    assert answering(table(sso=[{"sticky": "cookie"}]), "sso") == "sso.0"
    assert answering(made, "wiki") is None


def test_a_service_with_auth_believes_no_client_on_any_of_its_routes() -> None:
    made = table(wiki=[forward("sso", "X-Me"), {"path": "/api"}], sso=[{}], mail=[basic("/a")])
    remote = ("remote-email", "remote-groups", "remote-name", "remote-user")
    assert identities(made) == {"wiki.0": (*remote, "x-me"), "wiki.1": (*remote, "x-me"), "mail.0": remote}
    # Where nothing is asked, a client goes on saying who it is.
    made = table(wiki=[forward("sso", "Authorization"), {"path": "/api"}], sso=[{}])
    assert identities(made) == {"wiki.0": ("authorization", *remote), "wiki.1": remote}


def test_a_service_is_told_its_own_closures_only() -> None:
    made = table(wiki=[basic("/a")], files=[basic("/b")])
    routed = routed_of("wiki", {"main": made}, (), files={"/a": LoginsError("/a: does not exist")})
    assert routed.problems == ((Reason.LOGINS_UNUSABLE, "wiki0.test/ is closed: /a: does not exist"),)
