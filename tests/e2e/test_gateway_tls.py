"""Certificates of a gateway on a real engine, from pebble with its validation on: no reload, no lost request."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.certificates.keeper import directory_of
from reconciler.certificates.store import Store
from reconciler.certificates.wanted import Source
from reconciler.proxy.haproxy.gateway.containers import project_of
from tests.certificates.pebble import running
from tests.e2e.docker_cli import containers
from tests.e2e.gateway_stage import GatewayStage, Requests, gateway_stage
from tests.e2e.stage import free_ports
from tests.e2e.tls_client import curl, curl_http3, served_serial
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

AWAY_SECONDS: Final = 60.0 if "EVERY_WAY" in os.environ else 10.0
"""How long the ACME server is away."""


@pytest.fixture(params=["published", "host"])
def stage(request: pytest.FixtureRequest) -> Iterator[GatewayStage]:
    with gateway_stage(request.param) as made:
        yield made


def test_a_gateway_gets_renews_and_serves_certificates(stage: GatewayStage, tmp_path: Path) -> None:
    (https,) = free_ports(1)
    listeners = [
        {"name": "http", "port": stage.port, "protocol": "HTTP", "address": "127.0.0.1"},
        {"name": "https", "port": https, "protocol": "HTTPS", "address": "127.0.0.1", "http3": True},
    ]
    names = ["one.example.org", "www.one.example.org"]
    root = tmp_path / "root.pem"
    with running(tmp_path, "127.0.0.1", stage.port, https) as pebble, stage.controller():
        root.write_text(pebble.root())
        stage.write(listeners=listeners, acme=pebble.acme().to_document())
        until("ready", stage.ready)
        before, ids = stage.workers(), containers(project_of(stage.name))
        for service, hostnames in (("one", names), ("two", ["two.test"])):
            stage.serve(service, hostnames=hostnames, tls={})
            stage.start(service)

        def serves(name: str) -> bool:
            return curl(f"https://{name}:{https}/", name, https, "--cacert", str(root)).startswith("200")

        for name in names:
            until(f"a certificate for {name}", lambda: serves(name))  # noqa: B023
        until(
            "plain HTTP goes to https",
            lambda: (
                curl(f"http://{names[0]}:{stage.port}/x", names[0], stage.port)
                == f"308 https://{names[0]}:{https}/x"
            ),
        )
        until(
            "a self-signed one",
            lambda: curl(f"https://two.test:{https}/", "two.test", https, "--insecure").startswith("200"),
        )

        store = Store(directory_of(stage.application.objects.of(VAULT_GATEWAY).directory(stage.name)))
        first = {held.file: held.bundle for held in store.held(store.state()) if held.source is Source.ACME}
        store.request_renewal(tuple(names))
        with Requests(stage, "one") as load:
            # The pass of this change finds the request.
            stage.serve("two", path="/new", tls={})
            until(
                "another certificate",
                lambda: all(
                    first[held.file] != held.bundle
                    for held in store.held(store.state())
                    if held.source is Source.ACME
                ),
            )
            (renewed,) = (held for held in store.held(store.state()) if held.source is Source.ACME)
            serial = renewed.bundle.certificate.serial
            until("HAProxy has it", lambda: serial in served_serial(names[0], https))
            until(
                "HTTP/3 has it as well",
                lambda: curl_http3(f"https://{names[0]}:{https}/", names[0], https, root) == "3 200",
            )
        assert all(isinstance(answer, tuple) for answer in load.answers)
        assert (stage.workers(), containers(project_of(stage.name))) == (before, ids)

        keys = list((stage.site.config / "tls").glob("*.pem"))
        assert len(keys) == 3
        owner = 0 if stage.network == "host" else stage.site.uid
        if os.geteuid() == 0:
            assert {(stat.S_IMODE(key.stat().st_mode), key.stat().st_uid) for key in keys} == {(0o600, owner)}
        assert "PRIVATE" not in stage.story()
        assert "PRIVATE" not in stage.vaultctl("get", f"vg/{stage.name}", "-o", "yaml")


@pytest.mark.parametrize("stage", ["host"], indirect=True)
def test_an_acme_server_that_is_away_takes_nothing(stage: GatewayStage, tmp_path: Path) -> None:
    """A real minute with `make zero-loss`; tests/proxy/haproxy/gateway/test_acme_away.py has it by another clock."""
    (https,) = free_ports(1)
    listeners = [
        {"name": "http", "port": stage.port, "protocol": "HTTP", "address": "127.0.0.1"},
        {"name": "https", "port": https, "protocol": "HTTPS", "address": "127.0.0.1"},
    ]
    name, root = "one.example.org", tmp_path / "root.pem"

    def answer() -> str:
        return curl(f"https://{name}:{https}/", name, https, "--cacert", str(root)).strip()

    with running(tmp_path, "127.0.0.1", stage.port, https) as pebble, stage.controller():
        root.write_text(pebble.root())
        stage.write(listeners=listeners, acme=pebble.acme().to_document())
        until("ready", stage.ready)
        stage.serve("one", hostnames=[name], tls={})
        stage.start("one")
        until("a certificate", lambda: answer() == "200")
        before, serial = stage.workers(), served_serial(name, https)

        pebble.stop()
        back = time.monotonic() + AWAY_SECONDS
        stage.vaultctl("certificate", "renew", name)
        until("it is told", lambda: "RenewalFails" in stage.vaultctl("certificate", "list"))
        answers = set()
        while time.monotonic() < back:
            answers.add(answer())
        assert (answers, served_serial(name, https)) == ({"200"}, serial)

        pebble.start()
        root.write_text(pebble.root())
        until("another certificate", lambda: answer() == "200")
        assert served_serial(name, https) != serial
        until("all is well", lambda: "RenewalFails" not in stage.vaultctl("certificate", "list"))
        assert stage.workers() == before
