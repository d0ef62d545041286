"""The node of the controller is lost whole, and the controller on another node is the same one to all who know it: agents,
users, holders of tokens, and clients of the gateway.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from reconciler.certificates.agents import AUTHORITY, CONTROLLER_CERTIFICATE, CONTROLLER_KEY
from reconciler.core.names import AGENT_PORT, ENGINE_PORT
from reconciler.engines.swarm.kept import STATE_MARK
from tests.e2e.waiting import until
from tests.swarm.installed import IMAGE, Installed, installed
from tests.swarm.laboratory import CONTROLLER_STATE, Node, laboratory

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(900)]

API_PORT: Final = 6443
PAGE_PORT: Final = 8443
HTTPS_PORT: Final = 8444
ARGUMENTS: Final = (
    *("--agents", "0.0.0.0:9444", "--agent-image", IMAGE),
    *("--api", f"0.0.0.0:{API_PORT}", "--ui", f"0.0.0.0:{PAGE_PORT}"),
)
HOST: Final = "shop.test"
MANIFESTS: Final = f"""\
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {{name: main}}
spec:
  nodeSelector: {{}}
  listeners:
    - {{name: https, port: {HTTPS_PORT}, protocol: HTTPS}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: shop}}
spec:
  plugin: whoami
  replicas: 2
  route: {{gateway: main, hostnames: [{HOST}]}}
"""
PASSWORD: Final = "correct horse battery staple 7"
MOVED_SECONDS: Final = 240.0
FIELD: Final = re.compile(r'name="token" value="([^"]+)"')


@dataclass(frozen=True)
class Known:
    """What those who know a controller know of it."""

    certificate: str
    """The digest of the certificate that the gateway shows."""
    agents: dict[str, Any]
    """The nodes whose agents answer, with the end of the certificate that each was given."""
    deployed: list[str]
    """The versions of the agents' services: another one after each deployment."""


@pytest.fixture
def controller() -> Iterator[Installed]:
    """On a Swarm of its own: networks of a node that was killed cannot be removed for a while."""
    with (
        laboratory(("vault-reconciler/whoami:latest", "haproxy:3.0")) as lab,
        installed(lab, "--", *ARGUMENTS) as made,
    ):
        yield made


def known(controller: Installed, ask: Node, agents: set[str]) -> Known:
    """What is known once the agents of these nodes answer."""

    def answering() -> dict[str, Any]:
        rows = json.loads(controller.inside("agent", "list", "-o", "json", ask=ask))
        found = {each["node"]: each["certificateEnds"] for each in rows if each["answers"]}
        return found if found.keys() >= agents else {}

    answers = until("the agents answer", answering, MOVED_SECONDS)
    names = ask.docker(
        "service", "ls", "--quiet", "--filter", "label=com.docker.stack.namespace=vault-agents"
    )
    versions = ask.docker(
        "service", "inspect", "--format", "{{.Spec.Name}} {{.Version.Index}}", *names.split()
    )
    with ask.entered():
        shown = until("the gateway answers", lambda: certificate(ask, HTTPS_PORT, HOST))
    return Known(shown, answers, sorted(versions.splitlines()))


def certificate(node: Node, port: int, name: str) -> str:
    """The digest of the certificate that is shown for a name; empty while nothing answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((node.address, port), timeout=10) as bare,
            context.wrap_socket(bare, server_hostname=name) as connection,
        ):
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return ""


def trusted(controller: Installed) -> ssl.SSLContext:
    """What trusts the API and the page as a kubeconfig does."""
    said = controller.inside("kubeconfig")
    found = re.search(r"certificate-authority-data: *(\S+)", said)
    assert found, said
    return ssl.create_default_context(cadata=base64.b64decode(found[1]).decode())


def logs_in(node: Node, trust: ssl.SSLContext) -> bool:
    """Whether the page of the controller on this node lets the user in with the password."""
    url = f"https://127.0.0.1:{PAGE_PORT}"
    with node.entered(), httpx.Client(base_url=url, verify=trust, timeout=20) as browser:
        field = FIELD.search(browser.get("/login").text)
        assert field
        data = {"token": field[1], "name": "anna", "password": PASSWORD}
        answer = browser.post("/login", data=data, headers={"Origin": url})
        return answer.status_code in (302, 303) and browser.get("/").status_code == 200


def status_with(node: Node, trust: ssl.SSLContext, token: str) -> int:
    """What the API of the controller on this node answers to a token."""
    with node.entered(), httpx.Client(verify=trust, timeout=20) as client:
        url = f"https://127.0.0.1:{API_PORT}/apis/vault.internal/v1alpha1/vaultservices"
        return client.get(url, headers={"Authorization": f"Bearer {token}"}).status_code


def as_controller(controller: Installed, directory: Path) -> ssl.SSLContext:
    """What the controller shows to agents at this moment."""
    found = controller._container(controller.lab.first)
    assert found is not None
    node, container = found
    for file in (AUTHORITY, CONTROLLER_CERTIFICATE, CONTROLLER_KEY):
        text = node.docker("exec", container, "cat", f"{CONTROLLER_STATE}/agents/{file}")
        (directory / file).write_text(f"{text}\n")
    made = ssl.create_default_context(cafile=str(directory / AUTHORITY))
    made.check_hostname = False
    made.load_cert_chain(directory / CONTROLLER_CERTIFICATE, directory / CONTROLLER_KEY)
    return made


def obeys(node: Node, shown: ssl.SSLContext) -> tuple[int, str]:
    """What the agent of a node answers to who shows this, and what the engine says to which it leads."""
    with node.entered(), httpx.Client(verify=shown, timeout=20) as client:
        status = client.get(f"https://{node.address}:{AGENT_PORT}/hello").status_code
        try:
            return status, client.get(f"https://{node.address}:{ENGINE_PORT}/_ping").text
        except httpx.TransportError:
            return status, ""


def written_by(controller: Installed, ask: Node) -> str:
    """The log of the controller that runs."""
    found = controller._container(ask)
    assert found is not None
    words = ["docker", "--host", found[0].host, "logs", found[1]]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=True)
    return done.stdout.decode(errors="replace")


def configs(node: Node, *which: str) -> str:
    """What `docker config inspect` prints of the Swarm's configs."""
    ids = node.docker("config", "ls", "--quiet", *which).split()
    # One that is replaced meanwhile is no longer there.
    return (node.docker("config", "inspect", *ids, check=False) if ids else "") or "[]"


def kept(node: Node) -> dict[str, bytes]:
    """What the Swarm has of the state directory, as anyone may read it there, by labels."""
    rows = json.loads(configs(node, "--filter", f"label={STATE_MARK}"))
    return {row["Spec"]["Labels"][STATE_MARK]: base64.b64decode(row["Spec"]["Data"]) for row in rows}


def test_the_controller_of_another_node_is_the_same_one(controller: Installed, tmp_path: Path) -> None:
    swarm = controller.lab
    controller.inside("apply", "-f", "-", "--wait", "--timeout", "240s", given=MANIFESTS)
    controller.inside("user", "set-password", "anna", "--stdin", given=f"{PASSWORD}\n")
    token = controller.inside("token", "create", "robot").strip()
    trust = trusted(controller)
    lost = controller.node(controller.status()["node"])
    others = [node for node in swarm.nodes if node is not lost]
    ask = others[0]
    names = {node.name for node in others}
    before = known(controller, ask, names)
    assert logs_in(lost, trust)
    assert status_with(lost, trust, token) == 200

    until("all of it is kept", lambda: {"agents", "logins", "api"} <= kept(ask).keys())
    until("its certificates are", lambda: any(each.startswith("gateway/main/") for each in kept(ask)))
    for label, content in kept(ask).items():
        assert content.startswith(b"age-encryption.org/v1\n"), label
        assert len(content) < 500_000
    everything = configs(ask)
    for secret in ("PRIVATE KEY", "scrypt", PASSWORD, token):
        assert secret not in everything
        assert base64.b64encode(secret.encode()).decode().rstrip("=")[:-1] not in everything

    former = as_controller(controller, tmp_path)
    assert obeys(ask, former) == (200, "OK")

    lost.kill()
    try:
        until(
            "it acts elsewhere",
            lambda: controller.runs(ask) and controller.status(ask)["node"] in names,
            MOVED_SECONDS,
        )
        here = controller.node(controller.status(ask)["node"])
        after = known(controller, here, names)
        assert after.certificate == before.certificate
        assert {node: after.agents[node] for node in names} == {
            node: before.agents[node] for node in names
        }, "no agent was enrolled again"
        assert after.deployed == before.deployed
        assert status_with(here, trust, token) == 200
        assert logs_in(here, trust)
        assert status_with(here, trust, token[:-1] + ("a" if token[-1] != "a" else "b")) == 401
        # Of the term before: a controller that was stopped, and goes on, would show it.
        assert [obeys(node, former) for node in others] == [(403, "")] * len(others)
        # It acts by the agents: what has changed reaches each HAProxy.
        controller.inside("scale", "shop", "--replicas", "3", ask=here)
        controller.inside("wait", "shop", "--for", "condition=Ready", "--timeout", "180s", ask=here)
        logs = written_by(controller, here)
        assert "holds the lease" in logs
        for secret in ("AGE-SECRET-KEY", "PRIVATE KEY", PASSWORD, token):
            assert secret not in logs
    finally:
        lost.start()
        until("the Swarm is whole", swarm.is_whole, MOVED_SECONDS)
