"""The containers of a gateway, in both networks, and what a change of its spec replaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.api.resource import Metadata
from reconciler.api.vaultgateway import GatewaySpec, Listener, VaultGateway
from reconciler.core.desired.build import project_of as project_of_service
from reconciler.core.desired.stack import Role, Site
from reconciler.core.desired.workloads import Part
from reconciler.proxy.haproxy.gateway.containers import gateway_parts, project_of, slot_overlay

SITE = Site(Path("/var/lib/vault/gateways/main"), 99, 99)


def parts(bind: str = "", **spec: Any) -> dict[Role, Part]:
    gateway = VaultGateway(metadata=Metadata(name="main"), spec=GatewaySpec(**spec))
    return {part.workload.role: part for part in gateway_parts(gateway, SITE, bind, b"")}


def test_a_published_gateway_has_a_namespace_with_all_its_ports() -> None:
    made = parts(replicas=2, drain_seconds=60.0)
    holder, proxy = made[Role.GATEWAY], made[Role.PROXY]

    assert holder.definition["ports"] == ["80:80", "443:443"]
    assert holder.definition["sysctls"] == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ip_forward": "0",
    }
    assert holder.definition["cap_drop"] == proxy.definition["cap_drop"] == ["ALL"]
    assert proxy.definition["network_mode"] == "service:gateway"
    assert proxy.definition["user"] == "99:99"
    assert "cap_add" not in proxy.definition
    assert (proxy.workload.replicas, proxy.workload.needs, proxy.workload.stop_grace) == (
        2,
        ("gateway",),
        65.0,
    )
    assert proxy.definition["stop_grace_period"] == "65s"
    assert proxy.definition["labels"]["internal.vault.service"] == "vaultgateway/main"


def test_a_gateway_on_the_host_is_haproxy_alone_with_what_it_needs_to_leave_root() -> None:
    (proxy,) = parts(network="host").values()

    assert proxy.definition["network_mode"] == "host"
    assert proxy.definition["user"] == "0:99"
    assert proxy.definition["cap_add"] == ["KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"]
    assert proxy.definition["cap_drop"] == ["ALL"]
    assert proxy.workload.needs == ()


def test_ports_are_published_on_the_address_of_their_listener_or_that_of_the_operator() -> None:
    listeners = (
        Listener(name="http", port=80, protocol="HTTP"),
        Listener(name="db", port=5432, protocol="TCP", address="127.0.0.1"),
        Listener(name="six", port=81, protocol="HTTP", address="::1"),
    )

    assert parts("10.0.0.1", listeners=listeners)[Role.GATEWAY].definition["ports"] == [
        "10.0.0.1:80:80",
        "127.0.0.1:5432:5432",
        "[::1]:81:81",
    ]


def test_a_slot_has_sockets_of_its_own_and_takes_over_from_another_one() -> None:
    overlay = slot_overlay(2, 1)

    assert overlay["environment"] == {"VAULT_PROXY_SLOT": "2"}
    assert " ".join(overlay["command"]) == (
        "haproxy -f /usr/local/etc/haproxy/gateway.cfg -f /usr/local/etc/haproxy/pools "
        "-S /run/haproxy/master-2.sock,mode,660 -x /run/haproxy/admin-1.sock"
    )


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({"image": "haproxy:3.2"}, {Role.PROXY}),
        ({"drain_seconds": 60.0}, {Role.PROXY}),
        ({"listeners": (Listener(name="http", port=8080, protocol="HTTP"),)}, {Role.GATEWAY}),
        ({"replicas": 2}, set()),
        ({"access_log": True}, set()),
        ({"trusted_proxies": ("10.0.0.0/8",)}, set()),
    ],
)
def test_a_change_replaces_only_what_it_concerns(change: dict[str, Any], replaced: set[Role]) -> None:
    before, after = parts(), parts(**change)

    assert {
        role for role in before if before[role].workload.revision != after[role].workload.revision
    } == replaced


def test_the_address_of_the_operator_replaces_no_namespace() -> None:
    assert parts("10.0.0.1")[Role.GATEWAY].workload.revision == parts()[Role.GATEWAY].workload.revision


def test_no_service_has_the_project_of_a_gateway() -> None:
    assert not project_of("main").startswith(project_of_service(""))
