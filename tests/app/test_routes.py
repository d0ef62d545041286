"""A list of routes has each claim with what became of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import ReplicaCounts, Status, VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
from reconciler.app.certificates import certificates
from reconciler.app.routes import RouteLine, route_document, routes
from reconciler.controller.reconcile.routing import Permit, everything, settle_objects
from reconciler.store.base import Origin
from reconciler.store.layout import OBJECT
from reconciler.store.objects import ObjectStore

MakeStatus = Callable[..., Status]
Gateway = Callable[..., None]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def gateway(objects: ObjectStore, make_status: MakeStatus, origin: Origin) -> Gateway:
    def make(name: str = "main", **conditions: tuple[str, str, str]) -> None:
        objects.of(VAULT_GATEWAY).apply(VaultGateway.model_validate({"metadata": {"name": name}}), origin)
        said = make_status(**(conditions or {"Ready": ("True", "Serving", "1 route of 1 service")}))
        status = GatewayStatus(observed_generation=1, conditions=said.conditions)
        objects.of(VAULT_GATEWAY).put_status(name, status)

    return make


@pytest.fixture
def service(objects: ObjectStore, make_status: MakeStatus, origin: Origin) -> Callable[..., None]:
    def make(name: str, ready: tuple[str, str, str], serving: int = 1, **spec: Any) -> None:
        document = {"metadata": {"name": name}, "spec": {"plugin": "whoami", **spec}}
        objects.apply(VaultService.model_validate(document, by_alias=True, by_name=False), origin)
        counts = ReplicaCounts(desired=1, current=1, updated=1, ready=serving, serving=serving)
        objects.put_status(name, make_status(Ready=ready).model_copy(update={"replicas": counts}))

    return make


READY = ("True", "Serving", "1 replica serves")


def lines(objects: ObjectStore, *services: str, permits: Permit = everything) -> list[RouteLine]:
    routing = settle_objects(objects, permits)
    return routes(objects, routing, certificates(objects, routing, NOW, pytest.fail), services)


def states(found: list[RouteLine]) -> dict[str, str]:
    return {f"{line.service} {line.host}{line.path}": line.state for line in found}


def test_each_host_and_path_has_a_line(
    objects: ObjectStore, gateway: Gateway, service: Callable[..., None]
) -> None:
    gateway()
    service(
        "files",
        READY,
        routes=[{"hostnames": ["b.test", "a.test"]}, {"hostnames": ["a.test"], "path": "/api"}],
    )
    found = lines(objects)
    assert [(line.host, line.path, line.route) for line in found] == [
        ("a.test", "/", "files.0"),
        ("a.test", "/api", "files.1"),
        ("b.test", "/", "files.0"),
    ]
    assert {(line.gateway, line.service, line.state, line.message) for line in found} == {
        ("main", "files", "Serving", "")
    }
    assert lines(objects, "wiki") == []


def test_states_are_those_of_the_service_the_gateway_and_the_route(
    objects: ObjectStore, gateway: Gateway, service: Callable[..., None]
) -> None:
    gateway()
    moving = ("False", "Progressing", "files-web-2 is starting")
    service("files", moving, route={"hostnames": ["files.test"]})
    service("new", moving, serving=0, route={"hostnames": ["new.test"]})
    service("off", READY, route={"hostnames": ["off.test"], "maintenance": True})
    service(
        "apex", READY, serving=0, route={"hostnames": ["www.test"], "redirect": {"hostname": "apex.test"}}
    )
    service("late", READY, route={"hostnames": ["files.test", "late.test"]})
    assert states(lines(objects, permits=lambda service, host: host != "late.test")) == {
        "files files.test/": "Serving",
        "new new.test/": "Progressing",
        "off off.test/": "Maintenance",
        "apex www.test/": "Serving",
        "late files.test/": "Conflicted",
        "late late.test/": "HostnameNotPermitted",
    }
    (line,) = lines(objects, "files")
    assert line.message == "Progressing: files-web-2 is starting"

    gateway("main", Ready=("False", "Blocked", "port 80 is taken"), Degraded=("True", "NotAllServing", ""))
    (line,) = lines(objects, "files")
    assert (line.state, line.message) == ("GatewayNotReady", "gateway main: Blocked: port 80 is taken")
    # One that is changed, and whose HAProxies answer, serves.
    gateway("main", Ready=("False", "Progressing", "reload"), Degraded=("False", "AllServing", ""))
    assert lines(objects, "files")[0].state == "Serving"


def test_a_service_that_is_stopped_serves_nothing_and_one_that_is_asleep_does(
    objects: ObjectStore, gateway: Gateway, service: Callable[..., None]
) -> None:
    gateway()
    off = ("True", "Stopped", "spec.replicas is 0")
    service("off", off, 0, route={"hostnames": ["off.test"]})
    service("www", off, 0, route={"hostnames": ["www.test"], "redirect": {"hostname": "off.test"}})
    service("asleep", ("True", "Idle", "asleep since noon"), 0, route={"hostnames": ["asleep.test"]})
    assert [(line.host, line.state, line.message) for line in lines(objects)] == [
        ("asleep.test", "Serving", "asleep since noon"),
        ("off.test", "Stopped", "spec.replicas is 0"),
        ("www.test", "Serving", "redirects"),
    ]


def test_a_route_that_is_closed_says_why(
    objects: ObjectStore, gateway: Gateway, service: Callable[..., None], tmp_path: Path
) -> None:
    gateway()
    file = tmp_path / "logins"
    basic = {"auth": {"basic": {"file": str(file)}}}
    service(
        "files",
        READY,
        routes=[
            {"hostnames": ["a.test"], **basic},
            {"hostnames": ["b.test"], "auth": {"forward": {"service": "sso"}}},
            {"hostnames": ["c.test"]},
        ],
    )
    found = {line.host: line for line in lines(objects)}
    assert {host: line.state for host, line in found.items()} == {
        "a.test": "LoginsUnusable",
        "b.test": "NoAuthService",
        "c.test": "Serving",
    }
    assert str(file) in found["a.test"].message

    file.write_text("ada:$6$salt$" + "x" * 86 + "\n")
    assert states(lines(objects))["files a.test/"] == "Serving"


def test_connections_and_routes_without_a_gateway(objects: ObjectStore, service: Callable[..., None]) -> None:
    service("git", READY, tcp=[{"port": 2222, "target": 22}])
    (line,) = lines(objects)
    assert (line.host, line.path, line.port, line.gateway, line.state) == ("", "", 2222, "", "NoGateway")
    assert route_document(line)["gateway"] is None
    assert route_document(line)["port"] == 2222


def test_a_service_that_cannot_be_read_is_listed(
    objects: ObjectStore, gateway: Gateway, service: Callable[..., None]
) -> None:
    gateway()
    service("files", READY, serving=0, route={"hostnames": ["files.test"]})
    (objects.directory("files") / OBJECT).write_text("{")
    (line,) = lines(objects)
    assert (line.host, line.state) == ("files.test", "ObjectUnreadable")


def test_the_certificate_of_a_host_is_with_its_routes(
    objects: ObjectStore, gateway: Gateway, service: Callable[..., None]
) -> None:
    gateway()
    service("files", READY, route={"hostnames": ["files.test"]})
    (line,) = lines(objects)
    assert line.certificate is not None
    document = route_document(line)["certificate"]
    assert (document["state"], document["wanted"], document["notAfter"]) == ("Missing", "self-signed", None)
