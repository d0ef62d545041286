"""The last observation of every VaultGateway, for Prometheus: read at any time, without a request to the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from metrics.gateways import CertificateSnapshot, GatewaySnapshot, RouteSnapshot
from reconciler.controller.report.board import Exporter

if TYPE_CHECKING:
    from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
    from reconciler.certificates.choosing import Held
    from reconciler.certificates.renewal import Failure
    from reconciler.core.routes.table import Table
    from reconciler.proxy.base import ExporterPlace
    from reconciler.store.base import StoredObject

__all__ = ["GatewayBoard", "certificates_of", "routes_of"]


class GatewayBoard:
    """Snapshots by name. Threads may share it: each entry is replaced whole."""

    def __init__(self) -> None:
        self._snapshots: dict[str, GatewaySnapshot] = {}
        self._exporters: dict[str, tuple[Exporter, ...]] = {}

    def snapshots(self) -> tuple[GatewaySnapshot, ...]:
        """The last snapshot of every gateway."""
        return tuple(self._snapshots.values())

    def exporters(self) -> tuple[Exporter, ...]:
        """The metrics addresses of every HAProxy of a gateway that ran at the last observation."""
        return tuple(exporter for each in list(self._exporters.values()) for exporter in each)

    def saw(
        self,
        stored: StoredObject[VaultGateway],
        status: GatewayStatus,
        *,
        routes: Sequence[RouteSnapshot],
        certificates: Sequence[CertificateSnapshot],
        spare_pools: Mapping[str, int],
        exporters: Sequence[ExporterPlace],
    ) -> None:
        """A pass observed everything; `exporters` are where proxies serve their own metrics."""
        label = stored.ref.label
        self._snapshots[stored.name] = GatewaySnapshot(
            name=label,
            suspended=stored.resource.spec.suspend,
            conditions=_conditions(status),
            routes=tuple(routes),
            refused=status.refused,
            spare_pools=spare_pools,
            certificates=tuple(certificates),
        )
        self._exporters[stored.name] = tuple(
            Exporter(label, each.slot, each.address, each.node) for each in exporters
        )

    def waits(self, stored: StoredObject[VaultGateway], status: GatewayStatus) -> None:
        """A pass could not or should not observe; the last observation is kept."""
        before = self._snapshots.get(stored.name) or GatewaySnapshot(name=stored.ref.label)
        self._snapshots[stored.name] = GatewaySnapshot(
            name=before.name,
            suspended=stored.resource.spec.suspend,
            conditions=_conditions(status),
            routes=before.routes,
            refused=before.refused,
            spare_pools=before.spare_pools,
            certificates=before.certificates,
        )

    def forget(self, name: str) -> None:
        """A gateway was deleted: remove its series."""
        self._snapshots.pop(name, None)
        self._exporters.pop(name, None)


def routes_of(table: Table) -> Iterator[RouteSnapshot]:
    """Every key that a route owns."""
    for http, route in table.http.items():
        yield RouteSnapshot(http.host, http.prefix.rstrip("/") or "/", route, table.services[route])
    for tcp, route in table.tcp.items():
        yield RouteSnapshot(tcp.host, f"port {tcp.port}", route, table.services[route])


def certificates_of(
    names: Sequence[str], hosts: Mapping[str, Held], failures: Mapping[str, Failure]
) -> Iterator[CertificateSnapshot]:
    """The certificates of hosts that are to have one."""
    for host in names:
        held, failure = hosts.get(host), failures.get(host)
        certificate = held.bundle.certificate if held else None
        yield CertificateSnapshot(
            host,
            certificate.not_before if certificate else None,
            certificate.not_after if certificate else None,
            failure.count if failure else 0,
            failure.at if failure else None,
        )


def _conditions(status: GatewayStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}
