"""kubectl and what runs: Pods, their logs, commands in them, their ports, and their deletion."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import canary
from tests.e2e.docker_cli import docker
from tests.e2e.kubectl import Api
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import PATIENCE, until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

WEB = "vault.internal/role=web"


@pytest.fixture
def api() -> Iterator[Api]:
    """A converged service of three replicas, and an administrator's kubectl."""
    with harsh_stage() as stage:
        port = free_port()
        stage.env["VAULT_API"] = f"127.0.0.1:{port}"
        api = Api(stage, port, "admin")
        with stage.controller():
            api.kubeconfig()
            stage.converged()
            yield api


def test_kubectl_and_what_runs(api: Api) -> None:
    stage, kubectl = api.stage, api.kubectl
    table = kubectl("get", "pods", "-o", "wide").stdout.splitlines()
    assert table[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "OBJECT", "IMAGE"]
    names = {line.split()[0] for line in table[1:]}
    assert names == set(
        docker("ps", "--format", "{{.Names}}", f"--filter=label=internal.vault.service={stage.name}").split()
    )
    assert all(line.split()[1:3] == ["1/1", "Running"] for line in table[1:])
    pods = kubectl("get", "pods", "-l", WEB, "-o", "name").stdout.split()
    assert len(pods) == 3
    pod = pods[0].removeprefix("pod/")
    described = kubectl("describe", "pod", pod).stdout
    assert re.search(rf"Controlled By: +VaultService/{stage.name}", described)
    assert re.search(r"Ready: +True", described)
    document = kubectl("get", "pods", "-o", "json").stdout
    assert not canary.seen_in(document)
    assert "VERSION" not in document

    # Commands: streams, standard input, the exit code.
    done = kubectl("exec", "-i", pod, "--", "sh", "-c", "cat; echo no >&2; exit 7", input="yes\n", code=7)
    assert done.stdout == "yes\n"
    assert done.stderr.startswith("no\n")
    held = f"echo ${canary.VARIABLE}"
    assert canary.seen_in(kubectl("exec", pod, "--", "sh", "-c", held).stdout), (
        "the secret is not there at all"
    )
    (stage.root / "sent").write_bytes(bytes(range(256)) * 1000)
    kubectl("cp", str(stage.root / "sent"), f"{pod}:/tmp/sent")
    kubectl("cp", f"{pod}:/tmp/sent", str(stage.root / "back"))
    assert (stage.root / "back").read_bytes() == (stage.root / "sent").read_bytes()

    # Logs: the last lines, since, times, following; the secret that a container prints is not shown.
    kubectl("exec", pod, "--", "sh", "-c", f"(echo one; {held}; echo three) >/proc/1/fd/1")
    until("the lines are in the log", lambda: "three" in kubectl("logs", pod, "--tail=1").stdout)
    assert kubectl("logs", pod, "--tail=3").stdout.splitlines()[::2] == ["one", "three"]
    assert not canary.seen_in(kubectl("logs", pod).stdout)
    assert re.match(
        r"\d{4}-\d\d-\d\dT[0-9:.]+Z three\n", kubectl("logs", pod, "--tail=1", "--timestamps").stdout
    )
    assert "three" in kubectl("logs", pod, "--since=10m").stdout
    assert kubectl("logs", pod, "--since-time=2100-01-01T00:00:00Z").stdout == ""
    assert kubectl("logs", pod, "--limit-bytes=3", "--tail=1").stdout == "thr"
    assert "not found" in kubectl("logs", pod, "--previous", code=1).stderr
    with api.going_on("logs", "-f", pod, "--tail=1") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "three\n"
        kubectl("exec", pod, "--", "sh", "-c", "echo four >/proc/1/fd/1")
        assert following.stdout.readline() == "four\n"

    with api.going_on("port-forward", pod, ":8000") as forwarding:
        assert forwarding.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+) -> 8000", forwarding.stdout.readline())
        assert found is not None
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=PATIENCE) as answer:
                assert b"hostname" in answer.read()
    assert pod in kubectl("top", "pods").stdout
    assert re.search(r"^\S+ +Ready +control-plane", kubectl("get", "nodes").stdout, re.MULTILINE)
    audit = (stage.state / "audit.jsonl").read_text()
    assert '"resource":"pods/exec"' in audit
    assert not canary.seen_in(audit)

    # A deletion: the replica is drained, then replaced; requests go on being answered.
    pods = kubectl("get", "pods", "-l", WEB, "-o", "name").stdout.split()
    before = set(stage.replicas())
    with asking(stage) as statuses:
        kubectl("delete", pods[1], f"--timeout={PATIENCE:g}s")
    assert len(statuses) > 10
    assert set(statuses) == {200}
    stage.converged()
    assert len(before & set(stage.replicas())) == 2
    left = kubectl("get", "pods", "-l", WEB, "-o", "name").stdout.split()
    assert pods[1] not in left
    assert len(left) == 3
    refused = kubectl("delete", "pod", f"vault-{stage.name}-haproxy-1", code=1).stderr
    assert "Forbidden" in refused
    assert "vaultctl rollout restart" in refused


@contextmanager
def asking(stage: Stage) -> Iterator[list[int]]:
    """The statuses of requests, one after the other, while the block lasts; 0 for one without an answer."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                statuses.append(stage.get()[0])
            except OSError:
                statuses.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()
