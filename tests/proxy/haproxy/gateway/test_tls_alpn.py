"""HAProxies whose certificates are there when they start, and those that answer tls-alpn-01 beside their usual clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.certificates.self_signed import self_signed
from reconciler.proxy.haproxy.gateway.certificates import change_certificates
from reconciler.proxy.haproxy.gateway.tls_files import Certificates, served, write_certificates
from tests.certificates.pebble import running
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, SPEC, GatewayWorld
from tests.proxy.haproxy.gateway.issuing import curl, gateway, handshakes, s_client, wants

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker


def test_a_worker_that_starts_reads_the_same_from_files(world: GatewayWorld, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    one, default = self_signed(["a.test"], now), self_signed(["gateway.invalid"], now)
    wanted = Certificates(default.pem, served({"a.test": one.pem}))
    world.write(SPEC)
    write_certificates(world.site, wanted)
    world.start()
    (tmp_path / "root.pem").write_text(one.chain)
    assert "Verify return code: 0 (ok)" in s_client(world, tmp_path / "root.pem", "a.test")
    assert not change_certificates(world.master(), wanted)


def test_tls_alpn_shows_its_certificate_to_the_server_only(
    world: GatewayWorld, replicas: dict[str, Replica], tmp_path: Path
) -> None:
    names = [f"h{number}.example.org" for number in range(3)]
    root = tmp_path / "root.pem"
    with running(tmp_path, world.address, HTTP, HTTPS) as pebble:
        root.write_text(pebble.root())
        acme = pebble.acme(challenge="tls-alpn-01")
        world.spec = SPEC.model_copy(update={"acme": acme})
        world.write(world.spec)
        world.start()
        world.serve({"hostnames": names}, replicas=[replicas["one"]])
        with gateway(world, tmp_path, acme) as gate:
            gate.wants = wants(*names)
            gate.until(lambda now: now.secured >= set(names))
            before = {host: held.file for host, held in gate.look().hosts.items()}
            assert "Verify return code: 0 (ok)" in s_client(world, root, names[0])
            seen = json.loads(curl(world, root, names[0]).stdout)["headers"]
            assert {name.lower(): value for name, value in seen.items()}["x-forwarded-proto"] == "https"
            first = gate.look().hosts[names[0]].bundle
            with handshakes(world, root, names) as load:
                gate.keeper.renew(names)
                gate.until(lambda now: all(now.hosts[name].bundle != first for name in names[:1]))
                gate.until(lambda now: not now.challenges)
            assert load.lost == []
            assert set(before) == set(names)
