"""Which service of a Compose file answers requests, and on which port, where the manifest does not say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.core.compose.needs import COMPLETED, read_needs
from reconciler.core.compose.ports import read_ports
from reconciler.core.compose.project import ProjectError

TLS_PORTS: Final = frozenset({443, 8443})


def guess_web(services: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The only service that can be the web service, and a warning that says so, empty if there is no other service. Raises
    ProjectError with the candidates if there are several.
    """
    candidates = _candidates(services)
    if len(candidates) != 1:
        shown = ", ".join(
            f"{name} ({', '.join(map(str, ports)) or 'no port'})" for name, ports in candidates.items()
        )
        raise ProjectError(f"services: which one answers requests? set spec.compose.web to one of: {shown}")
    ((web, ports),) = candidates.items()
    if len(services) == 1:
        return web, ""
    why = "no other service publishes a port for HTTP" if ports else "there is no other service"
    return web, f"services.{web}: is the web service, since {why} (spec.compose.web)"


def guess_port(web: str, service: Mapping[str, Any]) -> tuple[int, str]:
    """The only port on which the web service can speak HTTP, and a warning that says so. Raises ProjectError with the
    candidates if there are several.
    """
    ports = _http_ports(service, "ports") or _http_ports(service, "expose")
    if len(ports) > 1:
        ports = [port for port in ports if port not in TLS_PORTS] or ports
    if len(ports) != 1:
        shown = f" to one of: {', '.join(map(str, ports))}" if ports else ""
        raise ProjectError(
            f"services.{web}: on which port does it answer requests? set spec.compose.port{shown}"
        )
    return ports[0], f"services.{web}: is asked on port {ports[0]}, the only one for HTTP (spec.compose.port)"


def _candidates(services: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Sequence[int]]:
    """Services that may be the web service, each with its ports for HTTP: those that publish one, else those that expose
    one, else all. Jobs are left out while there is anything else.
    """
    awaited = {
        need.service
        for service in services.values()
        for need in read_needs(service.get("depends_on"))
        if need.condition == COMPLETED
    }
    lasting = {
        name: service
        for name, service in services.items()
        if name not in awaited and service.get("restart") != "no"
    } or services
    for key in ("ports", "expose"):
        if found := {
            name: ports for name, service in lasting.items() if (ports := _http_ports(service, key))
        }:
            return found
    return dict.fromkeys(lasting, ())


def _http_ports(service: Mapping[str, Any], key: str) -> list[int]:
    return list(dict.fromkeys(_each_http_port(service.get(key))))


def _each_http_port(value: Any) -> Iterator[int]:
    for port in read_ports(value):
        if port.may_be_http:
            yield port.target
