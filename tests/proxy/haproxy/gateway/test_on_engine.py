"""A published gateway as Compose starts it: two services under two names on one port of the host, below 1024."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.api.resource import Metadata
from reconciler.api.route import Route
from reconciler.api.vaultgateway import GatewaySpec, Listener, VaultGateway
from reconciler.core.names import GATEWAY_NET
from reconciler.core.routes.claims import Claimant
from reconciler.proxy.haproxy.gateway.containers import gateway_parts
from tests.proxy.conftest import REPLICA_IMAGE, Replica, docker, listens, new_name, until
from tests.proxy.haproxy.gateway.conftest import START, GatewayWorld, site_in

pytestmark = pytest.mark.docker

PROJECT = f"t-gateway-{os.getpid()}"
PORT = 200 + os.getpid() % 700
SPEC = GatewaySpec(listeners=(Listener(name="http", port=PORT, protocol="HTTP", address="127.0.0.1"),))


def compose(file: Path, *arguments: str) -> None:
    command = [
        "docker",
        "compose",
        "--project-name",
        f"t-gateway-{os.getpid()}",
        "--file",
        str(file),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def published(tmp_path: Path) -> Iterator[GatewayWorld]:
    world = GatewayWorld(site_in(tmp_path / "site"), "", "127.0.0.1", spec=SPEC)
    world.write(SPEC)
    gateway = VaultGateway(metadata=Metadata(name="main"), spec=SPEC)
    parts = gateway_parts(gateway, world.site, "", b"")
    services = {part.workload.name: part.definition for part in parts}
    file = tmp_path / "compose.json"
    file.write_text(json.dumps({"services": services, "networks": {GATEWAY_NET: {}}}))
    try:
        compose(file, "up", "--detach")
        world.adopt(1)
        yield world
    finally:
        compose(file, "down", "--timeout", "1")


@pytest.fixture
def replicas(published: GatewayWorld) -> Iterator[dict[str, Replica]]:
    """Two replicas in the gateway's network: from another one it cannot reach them."""
    names = {name: new_name(name) for name in ("one", "two")}
    network = f"{PROJECT}_{GATEWAY_NET}"
    try:
        for name, container in names.items():
            docker(
                "run", "--detach", "--no-healthcheck", f"--name={container}", f"--hostname={name}",
                f"--network={network}", REPLICA_IMAGE,
            )  # fmt: skip
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        made = {
            name: Replica(name, docker("inspect", f"--format={template}", container) + ":8000")
            for name, container in names.items()
        }
        until(lambda: all(listens(each.address.removesuffix(":8000"), 8000) for each in made.values()))
        yield made
    finally:
        docker("rm", "--force", *names.values(), check=False)


def test_two_services_have_two_names_on_one_port(
    published: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    second = Claimant("second", START, routes=(Route(hostnames=("two.test",)),))
    published.serve({"hostnames": ["one.test"]}, replicas=[replicas["one"]], services=[second])
    published.have(published.held_by("second"), [replicas["two"]])

    assert published.get("one.test", port=PORT).headers["x-replica"] == "one"
    assert published.get("two.test", port=PORT).headers["x-replica"] == "two"
    assert published.get("three.test", port=PORT).status == 404
