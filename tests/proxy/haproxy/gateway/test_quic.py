"""What a listener with HTTP/3 becomes, and what is said of an image that cannot have one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.api.resource import Metadata
from reconciler.api.vaultgateway import GatewaySpec, Listener, VaultGateway
from reconciler.certificates.self_signed import self_signed
from reconciler.core.assess.cause import Cause
from reconciler.core.plan.gateway_operations import ConfigureGateway
from reconciler.proxy.haproxy.gateway.containers import gateway_parts
from reconciler.proxy.haproxy.gateway.pools import PoolKind, pool_names
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE, render, structure
from tests.proxy.haproxy.gateway.conftest import site_in

POOLS = pool_names({PoolKind.HTTP: 2})
LINES = (
    "    bind quic4@:443 name web-quic ssl crt /usr/local/etc/haproxy/tls/default.pem crt-list "
    "/usr/local/etc/haproxy/tls/certificates.list alpn h3",
    '    http-after-response set-header Alt-Svc "h3=\\":443\\"; ma=3600" if { ssl_fc } { dst_port 443 }',
    "    limited-quic",
)
OLD = """\
[ALERT]    (3911) : config : parsing [h.cfg:2] : unknown keyword 'limited-quic' in 'global' section
[ALERT]    (3911) : config : parsing [h.cfg:11] : 'bind' : unsupported stream protocol for datagram family 2 address \
'quic4@:8443'; QUIC is not compiled in if this is what you were looking for."""
"""What HAProxy 2.6 of Debian says."""


def spec(*, http3: bool = True, **more: Any) -> GatewaySpec:
    listeners = (
        Listener(name="http", port=80, protocol="HTTP"),
        Listener(name="web", port=443, protocol="HTTPS", http3=http3, address=more.pop("address", None)),
    )
    return GatewaySpec(listeners=listeners, **more)


def text(given: GatewaySpec) -> str:
    return render(given, POOLS, "haproxy:3.0")[GATEWAY_FILE]


@pytest.mark.parametrize("line", LINES)
def test_a_listener_has_a_socket_and_clients_are_told(line: str) -> None:
    assert f"{line}\n" in text(spec())
    assert f"{line}\n" not in text(spec(http3=False))


def test_it_takes_a_reload_and_is_off_by_default() -> None:
    assert structure(spec(), POOLS) != structure(spec(http3=False), POOLS)
    assert not Listener(name="web", port=443, protocol="HTTPS").http3


@pytest.mark.parametrize(
    ("address", "bind"),
    [("192.0.2.1", "quic4@192.0.2.1:443"), ("2001:db8::1", "quic6@[2001:db8::1]:443"), (None, "quic4@:443")],
)
def test_on_the_host_it_has_the_address_of_its_listener(address: str | None, bind: str) -> None:
    given = text(spec(network="host", address=address))

    assert f"    bind {bind} name web-quic ssl" in given
    # A socket for each connection, which a worker without root opens.
    assert "    setcap cap_net_bind_service\n" in given


@pytest.mark.parametrize(
    ("address", "port"),
    [
        (None, "443:443/udp"),
        ("192.0.2.1", "192.0.2.1:443:443/udp"),
        ("2001:db8::1", "[2001:db8::1]:443:443/udp"),
    ],
)
def test_the_port_is_published_for_udp_as_well(tmp_path: Path, address: str | None, port: str) -> None:
    def ports(http3: bool) -> list[str]:
        gateway = VaultGateway(metadata=Metadata(name="main"), spec=spec(http3=http3, address=address))
        holder, _ = gateway_parts(gateway, site_in(tmp_path), "", b"")
        return list(holder.definition["ports"])

    assert ports(http3=True) == [*ports(http3=False), port]


@pytest.mark.parametrize(
    ("listener", "message"),
    [
        ({"protocol": "HTTP"}, "http3 needs protocol HTTPS, and the one of web is HTTP"),
        ({"protocol": "TLS"}, "http3 needs protocol HTTPS, and the one of web is TLS"),
        ({"protocol": "HTTPS", "proxy_protocol": True}, "http3 and proxyProtocol exclude each other"),
    ],
)
def test_what_cannot_be_is_refused(listener: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Listener(name="web", port=443, http3=True, **listener)


@pytest.mark.parametrize(
    ("http3", "said", "expected"),
    [
        (True, OLD, "HAProxy of image haproxy:2.6 has no QUIC, which HTTP/3 needs: leave out http3 of web"),
        (True, "[ALERT] something else", r"\[ALERT\] something else"),
        (False, OLD, "unknown keyword"),
    ],
)
def test_an_image_without_quic_is_named(tmp_path: Path, http3: bool, said: str, expected: str) -> None:
    def judge(image: str, directory: Path, user: str) -> None:
        raise TemporaryError(said)

    gateways = HAProxyGateways(judge, lambda: self_signed(["x.test"], datetime.now(UTC)).pem, lambda: 0.0)
    given = spec(http3=http3, image="haproxy:2.6")
    gateway = VaultGateway(metadata=Metadata(name="main"), spec=given)
    stack = gateways.stack(gateway, tmp_path, (), "", b"")
    request = ConfigureGateway(spec=given, pools=POOLS, cause=Cause.MISSING)
    with pytest.raises(PermanentError if said == OLD and http3 else TemporaryError, match=expected):
        gateways.configure(stack, request)
