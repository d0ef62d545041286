"""The controller as a service of the Swarm: installed, moved to another node, upgraded and uninstalled."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.docker_cli import docker
from tests.e2e.waiting import until
from tests.swarm.installed import IMAGE, Installed, installed
from tests.swarm.laboratory import Laboratory

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PROJECT = "vault-shop"
MANIFEST = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: shop}
spec:
  plugin: whoami
  replicas: 2
  ports: {http: 8088}
"""
NEWER = "vault-reconciler/controller:newer"


@pytest.fixture
def controller(swarm: Laboratory) -> Iterator[Installed]:
    try:
        with installed(swarm) as made:
            yield made
    finally:
        swarm.remove_project(PROJECT)


def instances(swarm: Laboratory) -> list[str]:
    """The IDs of the tasks that run of the service."""
    words = ("stack", "ps", "--quiet", "--no-trunc", "--filter", "desired-state=running", PROJECT)
    # Of a stack without services the command says that there is none, and fails.
    return sorted(swarm.first.docker(*words, check=False).split())


def test_it_goes_on_on_another_node_and_replaces_nothing(swarm: Laboratory, controller: Installed) -> None:
    controller.inside("apply", "-f", "-", "--wait", given=MANIFEST)
    before, where = instances(swarm), controller.status()["node"]
    assert len(before) == 2
    assert controller.status()["keptObjects"] == ["shop"]
    data = json.loads(
        swarm.first.docker("config", "ls", "--format", "json", "--filter", "label=internal.vault.object")
    )
    assert data["Name"].startswith("vault-object-")

    # Its node takes no more tasks: that of the controller goes elsewhere, and its state directory does not.
    swarm.first.docker("node", "update", "--availability", "pause", where)
    swarm.first.docker("service", "update", "--detach", "--force", "vault-controller")
    try:
        until("it acts elsewhere", lambda: controller.runs() and controller.status()["node"] != where)
    finally:
        swarm.first.docker("node", "update", "--availability", "active", where)
    controller.inside("wait", "shop", "--for", "condition=Ready", "--timeout", "120s")
    assert instances(swarm) == before
    assert "HistoryMissing" in controller.inside("events", "shop")
    controller.inside("scale", "shop", "--replicas", "3")
    controller.inside("wait", "shop", "--for", "condition=Ready", "--timeout", "120s")
    assert set(before) < set(instances(swarm))

    other = _newer_image()
    swarm.load(other)
    now = instances(swarm)
    controller.vaultctl(swarm.first, "swarm", "upgrade", "--image", other)
    until("the newer one acts", controller.runs)
    controller.inside("wait", "shop", "--for", "condition=Ready", "--timeout", "120s")
    assert instances(swarm) == now

    controller.vaultctl(swarm.first, "swarm", "uninstall")
    assert instances(swarm) == now
    assert not controller.status()["installed"]
    controller.vaultctl(swarm.first, "swarm", "uninstall", "--delete-services")
    assert instances(swarm) == []
    assert controller.status()["keptObjects"] == []


def _newer_image() -> str:
    """Another image with the same content."""
    container = docker("create", IMAGE)
    try:
        docker("commit", "--change", "LABEL newer=true", container, NEWER)
    finally:
        docker("rm", container)
    return NEWER
