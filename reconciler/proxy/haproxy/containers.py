"""The part of every stack that does not come from a plugin: the gateway, HAProxy and the two shared networks.

The gateway only holds a network namespace and the published port, like a pause container of Kubernetes, so that
HAProxy itself can be replaced behind an open port. HAProxy's containers live in that namespace, or in that of the host, and
share two directories with the controller: one with the configuration, one with the sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.core.desired.revision import revisions_of
from reconciler.core.desired.stack import Role, Site, Stack, Workload
from reconciler.core.desired.workloads import Part, labelled
from reconciler.core.names import CONTROL_NET, GATEWAY, HAPROXY, VAULT_NET

INNER_PORT: Final = 8080
"""TCP port that HAProxy listens on inside the gateway's namespace; fixed, so that another published port changes no proxy.
"""

CONFIG_MOUNT: Final = "/usr/local/etc/haproxy"
RUN_MOUNT: Final = "/run/haproxy"
SLOT_VARIABLE: Final = "VAULT_PROXY_SLOT"
FIRST_SLOT: Final = 1

EXPORTER_PREFIX: Final = "184"
"""The prefix of the port of an HAProxy's own metrics; its slot follows, so that two HAProxies do not share a port."""

HARD_STOP_MARGIN: Final = 5.0
"""Seconds by which a stopping HAProxy outlives its sessions' drain deadline before the engine kills it."""

HAPROXY_USER: Final = 99
"""Uid and gid of the official image."""

_HOST_CAPABILITIES: Final = ("KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""To open a low port, to leave root, and to end workers that have left it: without KILL no old worker ever ends."""

# Root opens the ports of the host and is left then.
LEAVE_ROOT: Final = f"    uid {HAPROXY_USER}\n    gid {HAPROXY_USER}"


def gateway_of(stack: Stack) -> Workload:
    """The workload that holds the network namespace and the published port."""
    return stack.of(Role.GATEWAY)[0]


def holder_of(stack: Stack) -> Workload | None:
    """The same, if the stack has one: HAProxy may use the network of the host."""
    return next(iter(stack.of(Role.GATEWAY)), None)


def haproxy_of(stack: Stack) -> Workload:
    """The workload that runs the HAProxies."""
    return stack.of(Role.PROXY)[0]


def exporter_port(slot: int) -> int:
    """TCP port, inside the gateway's namespace and never published, of the metrics of the HAProxy in this slot."""
    return int(f"{EXPORTER_PREFIX}{slot}")


def _gateway(published: int, image: str, bind: str = "") -> dict[str, Any]:
    """The Compose service that holds the namespace and publishes the port, on the address `bind` or on all.

    It runs any image that has `sleep`; using the proxy's own avoids a second pull.
    """
    return {
        "image": image,
        "entrypoint": ["sleep", "infinity"],
        "user": "65534:65534",
        # `sleep` as process 1 ignores SIGTERM, and has no sessions to finish.
        "stop_signal": "SIGKILL",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "networks": [VAULT_NET, CONTROL_NET],
        "ports": [f"{_host(bind)}{published}:{INNER_PORT}"],
    }


def _host(bind: str) -> str:
    return "" if not bind else f"[{bind}]:" if ":" in bind else f"{bind}:"


def host_address(address: str, port: int) -> str:
    """A port of the host as HAProxy opens it; an empty address stands for all."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def host_exporter(port: int) -> str:
    """The address of loopback on which an HAProxy that opens this port of the host serves its own metrics: no other front
    door has it, since none has the same port.
    """
    return f"127.1.{port >> 8}.{port & 255}"


def haproxy_definition(
    image: str, site: Site, drain_seconds: float, overlay: Mapping[str, Any], *, on_host: bool
) -> dict[str, Any]:
    """The Compose service of a front door's HAProxies, with the `overlay` of its first slot.

    On the network of the host it starts as root, to open ports below 1024.
    """
    place: dict[str, Any] = (
        {"network_mode": "host", "user": f"0:{site.gid}", "cap_add": list(_HOST_CAPABILITIES)}
        if on_host
        else {"network_mode": f"service:{GATEWAY}", "user": f"{site.uid}:{site.gid}"}
    )
    return {
        "image": image,
        **place,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "stop_signal": "SIGUSR1",
        "stop_grace_period": f"{round(drain_seconds + HARD_STOP_MARGIN)}s",
        "volumes": [
            {"type": "bind", "source": str(site.config), "target": CONFIG_MOUNT, "read_only": True},
            {"type": "bind", "source": str(site.run), "target": RUN_MOUNT},
        ],
        **overlay,
    }


def slot_overlay(slot: int, handover: int | None) -> dict[str, Any]:
    """The fields that differ between HAProxy containers of one workload; not part of the revision.

    With `handover` it fetches the listening sockets from the HAProxy in that slot instead of binding new ones.
    """
    command = [
        "haproxy",
        "-f",
        f"{CONFIG_MOUNT}/haproxy.cfg",
        "-S",
        f"{RUN_MOUNT}/master-{slot}.sock,mode,660",
    ]
    if handover is not None:
        command += ["-x", f"{RUN_MOUNT}/admin-{handover}.sock"]
    return {"command": command, "environment": {SLOT_VARIABLE: str(slot)}}


def parts(service: VaultService, site: Site, bind: str = "", key: bytes = b"") -> tuple[Part, ...]:
    """The gateway and HAProxy, or HAProxy alone where it opens the port of the host itself."""
    spec = service.spec
    image, drain = spec.proxy.image, spec.strategy.drain_seconds
    on_host = spec.proxy.network == "host"
    haproxy = haproxy_definition(image, site, drain, slot_overlay(FIRST_SLOT, None), on_host=on_host)
    haproxy |= {"deploy": {"replicas": spec.proxy.replicas}}
    revisions = revisions_of(haproxy, key)
    proxy = labelled(
        service.name,
        Workload(
            name=HAPROXY,
            role=Role.PROXY,
            replicas=spec.proxy.replicas,
            image=image,
            revision=revisions[0],
            revisions=frozenset(revisions),
            networks=frozenset(),
            needs=() if on_host else (GATEWAY,),
            stop_grace=drain + HARD_STOP_MARGIN,
        ),
        haproxy,
    )
    if on_host:
        return (proxy,)
    gateway = _gateway(spec.ports.http, image, bind)
    # A gateway is disruptive to replace and does nothing but hold ports: only those are its revision. Another address
    # cannot be opened beside the old one either, so it is for gateways to come.
    held = revisions_of({"ports": _gateway(spec.ports.http, image)["ports"]}, key)
    holder = Workload(
        name=GATEWAY,
        role=Role.GATEWAY,
        replicas=1,
        image=image,
        revision=held[0],
        revisions=frozenset(held),
        networks=frozenset(gateway["networks"]),
        stop_grace=0.0,
    )
    return (labelled(service.name, holder, gateway), proxy)
