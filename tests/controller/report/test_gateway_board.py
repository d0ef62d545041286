"""What a pass has seen of a gateway stays on the board until the gateway is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from metrics.gateways import CertificateSnapshot, RouteSnapshot
from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
from reconciler.certificates.choosing import Held
from reconciler.certificates.errors import Why
from reconciler.certificates.renewal import Failure
from reconciler.certificates.wanted import Source
from reconciler.controller.report.board import Exporter
from reconciler.controller.report.gateway_board import GatewayBoard, certificates_of, routes_of
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import settle
from reconciler.proxy.base import ExporterPlace
from reconciler.store.base import StoredObject
from tests.certificates.authority import LIFE, START, bundle
from tests.simulation.stores import ORIGIN


def stored(**spec: Any) -> StoredObject[VaultGateway]:
    document = {"metadata": {"name": "main"}, "spec": spec}
    return StoredObject(VaultGateway.model_validate(document, by_alias=True, by_name=False), ORIGIN)


def test_an_entry_is_replaced_kept_and_forgotten() -> None:
    board = GatewayBoard()
    route = RouteSnapshot("a.test", "/", "files.0", "files")
    certificate = CertificateSnapshot("a.test")
    board.saw(
        stored(),
        GatewayStatus(refused=1),
        routes=[route],
        certificates=[certificate],
        spare_pools={"http": 3},
        exporters=[ExporterPlace(1, "10.0.0.2:1841"), ExporterPlace(2, node="b")],
    )
    (seen,) = board.snapshots()
    assert (seen.name, seen.routes, seen.refused, seen.spare_pools) == (
        *("vaultgateway/main", (route,), 1),
        {"http": 3},
    )
    assert board.exporters() == (
        Exporter("vaultgateway/main", 1, "10.0.0.2:1841"),
        Exporter("vaultgateway/main", 2, "", "b"),
    )

    board.waits(stored(suspend=True), GatewayStatus())
    (seen,) = board.snapshots()
    assert (seen.suspended, seen.routes, seen.certificates) == (True, (route,), (certificate,))
    assert board.exporters(), "its HAProxies run on"

    board.forget("main")
    assert (board.snapshots(), board.exporters()) == ((), ())
    board.waits(stored(), GatewayStatus())
    assert board.snapshots()[0].routes == ()


def test_every_host_and_port_of_a_table_is_a_route() -> None:
    claimant = Claimant(
        "files",
        START,
        (Route.model_validate({"hostnames": ["a.test", "*.b.test"], "path": "/api"}),),
        (TcpRoute.model_validate({"port": 2222, "target": 22}),),
    )
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "ssh", "port": 2222, "protocol": "TCP"},
    ]
    tables, _ = settle({"main": stored(listeners=listeners).resource.spec}, [claimant])
    assert set(routes_of(tables["main"])) == {
        RouteSnapshot("a.test", "/api", "files.0", "files"),
        RouteSnapshot("*.b.test", "/api", "files.0", "files"),
        RouteSnapshot("", "port 2222", "files.tcp0", "files"),
    }


def test_certificates_with_and_without_failures() -> None:
    held = Held("acme-a.pem", Source.ACME, bundle("a.test"))
    at: datetime = START + timedelta(hours=1)
    failure = Failure(2, Why.REFUSED, "refused", at, at)
    found = list(certificates_of(["a.test", "b.test"], {"a.test": held}, {"b.test": failure}))
    assert found == [
        CertificateSnapshot("a.test", held.bundle.certificate.not_before, START + LIFE),
        CertificateSnapshot("b.test", failures=2, failed_at=at),
    ]
    assert "PRIVATE" not in repr(found)
