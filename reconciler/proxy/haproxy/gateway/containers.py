"""The containers of a VaultGateway, as Compose services.

With `network: published` a container holds the network namespace and the published ports, as in front of every stack,
and HAProxy lives in it. With `network: host` HAProxy uses the network of the host, so nothing else is needed, but it has to
start as root to open ports below 1024.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewaySpec, Listener, VaultGateway
from reconciler.core.desired.revision import revisions_of
from reconciler.core.desired.stack import Probe, ProxySettings, Role, Site, Stack, Strategy, Workload
from reconciler.core.desired.workloads import Part, labelled
from reconciler.core.names import FIRST_NET, GATEWAY, GATEWAY_NET, GATEWAY_PROJECT, HAPROXY
from reconciler.proxy.haproxy.containers import (
    CONFIG_MOUNT,
    FIRST_SLOT,
    HAPROXY_USER,
    HARD_STOP_MARGIN,
    RUN_MOUNT,
    SLOT_VARIABLE,
    haproxy_definition,
)
from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE, POOL_DIRECTORY

__all__ = ["gateway_parts", "gateway_stack", "project_of", "slot_overlay"]

POOL: Final = "routes"
"""A backend without servers: a look at a HAProxy itself asks for that of this one."""

START_SECONDS: Final = 60.0
"""Time in which a container has to be ready before it counts as unhealthy."""


def project_of(name: str) -> str:
    """The Compose project of a VaultGateway."""
    return f"{GATEWAY_PROJECT}{name}"


def gateway_stack(
    gateway: VaultGateway,
    site: Site,
    networks: Collection[str],
    bind: str,
    key: bytes,
    mounted: Path | None = None,
) -> Stack:
    """What should run for a gateway. `networks` are those of its services, by their names in the engine; they are only
    joined where it has a namespace of its own. `mounted`: where its directory is on the machine that it runs on, if not at
    that of `site`. See gateway_parts for the rest.
    """
    spec, project = gateway.spec, project_of(gateway.name)
    joined = sorted(networks) if spec.network == "published" else []
    # On a node with an agent, files belong to the user of the image, whichever the controller has here.
    shown = Site(mounted, HAPROXY_USER, HAPROXY_USER) if mounted else site
    parts = gateway_parts(gateway, shown, bind, key, joined)
    own = {GATEWAY_NET: {"name": f"{FIRST_NET}{project}"}} if spec.network == "published" else {}
    return Stack(
        name=gateway.name,
        kind=VAULT_GATEWAY,
        project=project,
        published=0,
        listens=tuple(listener.port for listener in spec.listeners),
        site=site,
        document={
            "name": project,
            "services": {part.workload.name: part.definition for part in parts},
            "networks": {**own, **{name: {"name": name, "external": True} for name in joined}},
        },
        workloads=tuple(part.workload for part in parts),
        proxy=ProxySettings(POOL, Probe("/", "localhost", 2.0), 0.0, spec.drain_seconds),
        strategy=Strategy(
            kind="RollingUpdate",
            surge=1,
            unavailable=0,
            min_ready=0.0,
            progress_deadline=START_SECONDS,
            drain=spec.drain_seconds,
            auto_rollback=False,
        ),
        nodes=spec.node_selector,
    )


def gateway_parts(
    gateway: VaultGateway, site: Site, bind: str, key: bytes, networks: Sequence[str] = ()
) -> tuple[Part, ...]:
    """The workloads of a gateway. `bind` is the address that ports are published on where a listener has none; `key` is
    that of revisions.
    """
    spec, owner = gateway.spec, str(gateway.ref)
    on_host, overlay = spec.network == "host", slot_overlay(FIRST_SLOT, None)
    haproxy = haproxy_definition(spec.image, site, spec.drain_seconds, overlay, on_host=on_host)
    haproxy |= {"deploy": {"replicas": spec.replicas}}
    proxy = labelled(owner, _workload(HAPROXY, Role.PROXY, spec, haproxy, haproxy, key), haproxy)
    if on_host:
        return (proxy,)
    held = _holder(spec, bind, networks)
    # A gateway is disruptive to replace, and does nothing but hold ports: only those are its revision. It is connected to
    # the networks of services, and disconnected from them, while it runs.
    namespace = _workload(GATEWAY, Role.GATEWAY, spec, held, {"ports": _holder(spec, "")["ports"]}, key)
    return (labelled(owner, namespace, held), proxy)


def slot_overlay(slot: int, handover: int | None) -> dict[str, Any]:
    """The fields that differ between HAProxy containers of one gateway; not part of the revision."""
    command = ["haproxy", "-f", f"{CONFIG_MOUNT}/{GATEWAY_FILE}", "-f", f"{CONFIG_MOUNT}/{POOL_DIRECTORY}"]
    command += ["-S", f"{RUN_MOUNT}/master-{slot}.sock,mode,660"]
    if handover is not None:
        command += ["-x", f"{RUN_MOUNT}/admin-{handover}.sock"]
    return {"command": command, "environment": {SLOT_VARIABLE: str(slot)}}


def _workload(
    name: str, role: Role, spec: GatewaySpec, definition: dict[str, Any], revised: dict[str, Any], key: bytes
) -> Workload:
    revisions = revisions_of(revised, key)
    is_proxy = role is Role.PROXY
    return Workload(
        name=name,
        role=role,
        replicas=spec.replicas if is_proxy else 1,
        image=spec.image,
        revision=revisions[0],
        revisions=frozenset(revisions),
        networks=frozenset(definition.get("networks", ())),
        needs=(GATEWAY,) if is_proxy and spec.network == "published" else (),
        stop_grace=spec.drain_seconds + HARD_STOP_MARGIN if is_proxy else 0.0,
    )


def _holder(spec: GatewaySpec, bind: str, networks: Sequence[str] = ()) -> dict[str, Any]:
    """The service that holds the namespace. It runs any image that has `sleep`; HAProxy's own avoids a second pull."""
    return {
        "image": spec.image,
        "entrypoint": ["sleep", "infinity"],
        "user": "65534:65534",
        # `sleep` as process 1 ignores SIGTERM, and has no sessions to finish.
        "stop_signal": "SIGKILL",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "networks": [GATEWAY_NET, *networks],
        # HAProxy listens on the ports as they are, without being root. It is in the networks of many services: the kernel
        # would pass packets from one to another, as it does on a host with containers.
        "sysctls": {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ip_forward": "0"},
        "ports": [port for listener in spec.listeners for port in _published(listener, bind)],
    }


def _published(listener: Listener, bind: str) -> Iterator[str]:
    address = listener.address or bind
    where = "" if not address else f"[{address}]:" if ":" in address else f"{address}:"
    yield f"{where}{listener.port}:{listener.port}"
    if listener.http3:
        yield f"{where}{listener.port}:{listener.port}/udp"
