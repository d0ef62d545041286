"""What is shown of the nodes of a Swarm, and of what runs on them."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest

from reconciler.api.errors import PermanentError
from reconciler.cli.api_serving import assemble
from reconciler.core.desired.stack import Role
from reconciler.engines.instances import Instance, Instances, LogOptions
from tests.e2e.proof import REPLICAS
from tests.e2e.stage import Stage
from tests.swarm.laboratory import Laboratory
from tests.swarm.ways_in import with_front_there

pytestmark = [pytest.mark.docker, pytest.mark.turns]


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """Three replicas, and a controller on the first node that serves the Kubernetes API and the page as well."""
    with with_front_there(swarm, VAULT_API="127.0.0.1:0", VAULT_UI="127.0.0.1:0") as stage:
        yield stage


def test_nodes_are_shown_with_what_runs_on_each(swarm: Laboratory, stage: Stage) -> None:
    names = [node.name for node in swarm.nodes]
    nodes = stage.vaultctl("get", "nodes", "-o", "wide").stdout.splitlines()
    assert [line.split()[0] for line in nodes[1:]] == names
    assert all(" Ready " in line for line in nodes[1:])
    assert [node.address in line for node, line in zip(swarm.nodes, nodes[1:], strict=True)] == [True] * 3
    status = json.loads(stage.vaultctl("get", stage.name, "-o", "json").stdout)["status"]
    assert sum(each["replicas"] for each in status["nodes"]) == REPLICAS
    assert {each["name"] for each in status["nodes"]} <= set(names)
    for each in status["nodes"]:
        page = stage.vaultctl("describe", "node", each["name"]).stdout
        assert page.count(f"{stage.project}-whoami-") == each["replicas"]
    assert " NODE" in stage.vaultctl("describe", stage.name).stdout


def test_the_page_is_served(stage: Stage) -> None:
    (url,) = re.findall(r"page on (\S+)", (stage.root / "controller.log").read_text())
    # Its certificate is its own.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(url, timeout=30, context=context) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read()
    assert "Kubernetes API on https://" in (stage.root / "controller.log").read_text()


def test_the_kubernetes_api_has_pods_of_all_nodes_and_their_logs(swarm: Laboratory, stage: Stage) -> None:
    parts = assemble(stage.application)
    try:
        replicas = [each for _, each in parts.api.running.look() if each.role is Role.WEB]
        assert len(replicas) == REPLICAS
        elsewhere = [each for each in replicas if each.node != swarm.first.name]
        assert elsewhere, "all replicas are on the controller's node"
        document = parts.versions.document("Pod", elsewhere[0].name)
        assert document is not None
        assert json.loads(document.text)["spec"]["nodeName"] == elsewhere[0].node
        instances = parts.api.running.instances
        # Their program writes nothing: an answer without an error is all that can be had.
        assert [_log(instances.log(each, LogOptions(tail=5))) for each in replicas] == [b""] * REPLICAS
        assert asyncio.run(_refusal(instances, elsewhere[0])).startswith(
            f"it runs on node {elsewhere[0].node}: there, `docker exec"
        )
        here = next(each for each in parts.api.running.look() if each[1].role is Role.PROXY)
        assert here[1].node == swarm.first.name
        nodes = parts.api.collections["Node"].documents()[1]
        assert [node.name for node in nodes] == [node.name for node in swarm.nodes]
    finally:
        parts.versions.close()


def _log(pieces: AsyncIterator[bytes]) -> bytes:
    async def whole() -> bytes:
        return b"".join([piece async for piece in pieces])

    return asyncio.run(whole())


async def _refusal(instances: Instances, instance: Instance) -> str:
    try:
        await instances.execute(instance, ["true"], stdin=False, tty=False)
    except PermanentError as error:
        return str(error)
    return ""
