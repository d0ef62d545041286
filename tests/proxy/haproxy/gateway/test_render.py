"""The gateway's own file: what its spec becomes, what takes a reload, and that a manual edit is seen."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.api.vaultgateway import GatewaySpec, GatewayTimeouts, Listener
from reconciler.proxy.haproxy.gateway.maps import MAPS
from reconciler.proxy.haproxy.gateway.pools import PoolKind, pool_names
from reconciler.proxy.haproxy.gateway.render import (
    GATEWAY_FILE,
    map_path,
    read_structure,
    render,
    structure,
)

IMAGE = "haproxy:3.0"
POOLS = pool_names({PoolKind.HTTP: 2})
SPEC = GatewaySpec(
    listeners=(
        Listener(name="http", port=80, protocol="HTTP"),
        Listener(name="https", port=443, protocol="HTTPS", address="::1", proxy_protocol=True),
        Listener(name="ssh", port=2222, protocol="TCP", address="127.0.0.1"),
        Listener(name="db", port=5432, protocol="TLS"),
    ),
    trusted_proxies=("10.0.0.0/8",),
    network="host",
)


def text(spec: GatewaySpec = SPEC) -> str:
    return render(spec, POOLS, IMAGE)[GATEWAY_FILE]


@pytest.mark.parametrize(
    "line",
    [
        "    bind :80 name http",
        "    bind [::1]:443 name https ssl crt /usr/local/etc/haproxy/tls/default.pem crt-list "
        "/usr/local/etc/haproxy/tls/certificates.list alpn h2,http/1.1",
        "    tcp-request connection expect-proxy layer4 if { so_name https } "
        "{ src,map_ip(/usr/local/etc/haproxy/maps/trusted.map) -m found }",
        "frontend tcp-ssh from tcp",
        "    uid 99\n    gid 99",
        # The first port, which no other gateway of the machine has.
        '    bind "127.1.0.80:184${VAULT_PROXY_SLOT}"',
        "    bind 127.0.0.1:2222 name ssh",
        "    hard-stop-after 32500ms",
        # HAProxy ends a hold with it: tried with 10 s.
        "    tcp-request inspect-delay 24h",
        '    bind "unix@/run/haproxy/next-http-${VAULT_PROXY_SLOT}.sock" mode 660 name next-http accept-proxy',
        '    http-request return status 404 content-type "text/html; charset=utf-8" lf-file pages/no-route.html '
        "hdr Cache-Control no-store unless { var(txn.target) -m found }",
    ],
)
def test_writes(line: str) -> None:
    assert f"{line}\n" in text()


def test_a_gateway_without_http_has_no_such_frontend() -> None:
    only = GatewaySpec(listeners=(Listener(name="ssh", port=2222, protocol="TCP"),))

    assert "frontend public" not in text(only)
    assert "frontend tcp-ssh" in text(only)


def test_a_published_gateway_listens_on_all_addresses_of_its_namespace() -> None:
    published = text(SPEC.model_copy(update={"network": "published"}))

    assert "    bind :443 name https ssl" in published
    assert "    bind :2222 name ssh\n" in published
    assert '    bind ":184${VAULT_PROXY_SLOT}"\n' in published
    assert "    uid " not in published


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_haproxy_knows_every_map_whatever_it_listens_for(protocol: Any) -> None:
    only = GatewaySpec(listeners=(Listener(name="one", port=80, protocol=protocol),))
    files = render(only, POOLS, IMAGE)
    known = "".join(text for name, text in files.items() if name == GATEWAY_FILE or name.endswith(".lua"))

    assert [name for name in MAPS if map_path(name) not in known] == []


def test_every_map_is_used_and_no_other_can_be_named() -> None:
    in_lua = [
        name for name in MAPS if f"({map_path(name)})" not in text() and f"({map_path(name)}," not in text()
    ]
    assert in_lua == ["headers", "users", "forward", "identity"]
    code = "".join(text for name, text in render(SPEC, POOLS, IMAGE).items() if name.endswith(".lua"))
    assert [name for name in in_lua if f'Map.new("{map_path(name)}"' not in code] == []
    with pytest.raises(ValueError, match="no map"):
        map_path("other")


def test_what_was_written_is_read_back() -> None:
    files = render(SPEC, POOLS, IMAGE)

    assert read_structure(files, POOLS) == (structure(SPEC, POOLS), IMAGE)
    assert f"    description {structure(SPEC, POOLS)}\n" in files[GATEWAY_FILE]
    assert read_structure({}, POOLS) is None


@pytest.mark.parametrize(
    "change",
    [
        {"listeners": SPEC.listeners[:2]},
        {"timeouts": GatewayTimeouts(client=61.0)},
        {"drain_seconds": 31.0},
        {"access_log": True},
        {"max_header_kib": 64},
        {"max_connections_per_client": 100},
        {"drop_headers": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_setting_that_takes_a_reload_is_part_of_the_structure(change: dict[str, Any]) -> None:
    assert structure(SPEC.model_copy(update=change), POOLS) != structure(SPEC, POOLS)


@pytest.mark.parametrize(
    "change",
    [{"trusted_proxies": ("192.168.0.0/16",)}, {"replicas": 2}, {"suspend": True}, {"image": "haproxy:3.2"}],
)
def test_other_settings_take_none(change: dict[str, Any]) -> None:
    assert structure(SPEC.model_copy(update=change), POOLS) == structure(SPEC, POOLS)


def test_more_spare_pools_take_a_reload() -> None:
    assert structure(SPEC, (*POOLS, "h003")) != structure(SPEC, POOLS)


@pytest.mark.parametrize("file", sorted(render(SPEC, POOLS, IMAGE)))
def test_a_manual_edit_is_seen(file: str) -> None:
    files = render(SPEC, POOLS, IMAGE)
    files[file] = files[file].replace("\n", "\n# was here\n", 1)

    read = read_structure(files, POOLS)
    assert read is not None
    assert read[0] != structure(SPEC, POOLS)


def test_an_image_that_is_more_than_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="image"):
        render(SPEC, POOLS, "x\n    daemon")


def test_the_digits_that_bcrypt_begins_with_are_those_of_pi() -> None:
    bits = 32 * (18 + 4 * 256)
    one = 1 << (bits + 64)

    def arctan_of_inverse(number: int) -> int:
        term = total = one // number
        divisor, sign = 1, 1
        while term:
            term //= number * number
            divisor, sign = divisor + 2, -sign
            total += sign * (term // divisor)
        return total

    # Machin's formula.
    pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))
    digits = render(SPEC, POOLS, IMAGE)["pi.hex"].replace("\n", "")
    assert digits == f"{(pi - 3 * one) >> 64:0{bits // 4}x}"
