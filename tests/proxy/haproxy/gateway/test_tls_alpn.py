"""HAProxies whose certificates are there when they start, and those that answer tls-alpn-01 beside their usual clients."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.api.acme import Acme
from reconciler.certificates.self_signed import self_signed
from reconciler.proxy.haproxy.gateway.certificates import change_certificates
from reconciler.proxy.haproxy.gateway.tls_files import Certificates, served, write_certificates
from tests.certificates.pebble import running
from tests.proxy.conftest import docker
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


def test_what_waits_after_its_hello_is_for_the_next_haproxy_too(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    """It takes the socket over. One that it made itself would have another inode, and the former would lose what waits."""
    world.spec = SPEC.model_copy(update={"acme": Acme(accept_terms=True, challenge="tls-alpn-01")})
    world.write(world.spec)
    world.start()
    world.serve({"hostnames": ["a.test"]}, replicas=[replicas["one"]])
    (path,) = world.site.run.glob("tls_*.sock")
    before = path.stat().st_ino

    world.start(2, handover=1)
    assert path.stat().st_ino == before
    docker("rm", "--force", world.containers.pop(1))
    context = ssl._create_unverified_context()
    with closing(http.client.HTTPSConnection(world.address, HTTPS, timeout=10, context=context)) as client:
        client.request("GET", "/", headers={"Host": "a.test"})
        assert client.getresponse().status == 200
