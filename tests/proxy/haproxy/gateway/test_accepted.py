"""HAProxy accepts what is written for it without a warning, whatever a gateway listens for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.proxy.haproxy.containers import CONFIG_MOUNT, SLOT_VARIABLE
from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE, POOL_DIRECTORY
from tests.proxy.conftest import HAPROXY_USER, IMAGE
from tests.proxy.haproxy.gateway.conftest import SPEC, GatewayWorld, site_in

pytestmark = pytest.mark.docker

HTTP = {"name": "http", "port": 8080, "protocol": "HTTP"}
HTTPS = {"name": "https", "port": 8443, "protocol": "HTTPS"}
SPECS: dict[str, dict[str, Any]] = {
    "HTTP": {"listeners": [HTTP]},
    "HTTPS": {"listeners": [HTTPS]},
    "TCP": {"listeners": [{"name": "ssh", "port": 2222, "protocol": "TCP"}]},
    "TLS": {
        "listeners": [{"name": "db", "port": 5432, "protocol": "TLS", "proxyProtocol": True}],
        "trustedProxies": ["10.0.0.0/8"],
    },
    "tls-alpn-01": {
        "listeners": [HTTP, HTTPS],
        "acme": {"acceptTerms": True, "challenge": "tls-alpn-01"},
    },
    "log": {"listeners": [HTTP], "accessLog": True, "dropHeaders": ["X-Internal"], "network": "host"},
    "all": SPEC.to_document(),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_haproxy_has_nothing_to_warn_of(spec: dict[str, Any], tmp_path: Path) -> None:
    world = GatewayWorld(site_in(tmp_path), "", "")
    world.spec = GatewaySpec.model_validate(spec, by_alias=True)
    world.write(world.spec)
    # A first start has no state of servers, which is said as a notice.
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", f"--user={HAPROXY_USER}", f"--env={SLOT_VARIABLE}=1",
         f"--volume={world.site.config}:{CONFIG_MOUNT}:ro", IMAGE, "haproxy", "-c",
         "-f", f"{CONFIG_MOUNT}/{GATEWAY_FILE}", "-f", f"{CONFIG_MOUNT}/{POOL_DIRECTORY}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "[WARNING]" in line]
