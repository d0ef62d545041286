"""Logs, commands, revisions and routes over the API: what they are on the machine of the controller."""

from __future__ import annotations

import json
import os
import pty
import signal
import ssl
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reconciler.api import TemporaryError
from reconciler.cli.root import root
from reconciler.cli.session import Session
from reconciler.core.assess.observation import Health, State
from reconciler.core.desired.stack import Role
from tests.web.kube.cluster import NOW, ROOT, SECONDS, Cluster, served
from tests.web.kube.instances import FakeInstances, instance

MANIFESTS = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, replicas: 2, env: {LEVEL: debug}, route: {gateway: main, hostnames: [files.localhost]}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: main}
spec: {listeners: [{name: web, port: 8080, protocol: HTTP}]}
"""
LINES = [b"one\n", b"\x1b[2Jtwo\n"]


@pytest.fixture(scope="module")
def instances() -> FakeInstances:
    found = [
        instance("vault-files-web-1", health=Health.UNHEALTHY),
        instance("vault-files-web-2"),
        instance("vault-files-db-1", workload="db", role=Role.DEPENDENCY),
        instance("vault-files-old-1", workload="old", role=Role.DEPENDENCY, state=State.EXITED),
        instance("vault-other-web-1", label="other"),
    ]
    return FakeInstances(found, LINES)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, instances: FakeInstances) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("containers")
    with served(home / "state", home, instances=instances) as found:
        found.apply(MANIFESTS)
        history = found.application.history
        for number, (level, replicas) in enumerate((("info", 1), ("debug", 2)), 1):
            spec = {"plugin": "whoami", "replicas": replicas, "env": {"LEVEL": level}}
            begun = NOW + timedelta(hours=number)
            assert (
                history.open_revision("files", f"v2-{number}", json.dumps(spec), "spec", "", begun) == number
            )
            history.finish_revision("files", number, "Complete", begun + timedelta(seconds=2))
        found.until(lambda: "files" in found.kubectl("get", "vs").stdout)
        yield found


def there(cluster: Cluster, *words: str, role: str = "view", input: str | None = None) -> Result:
    """A verb over the API."""
    session = Session(state_dir=cluster.home / "nowhere", kubeconfig=cluster.kubeconfig(role))
    return CliRunner().invoke(root, list(words), obj=session, input=input)


def right(cluster: Cluster, *words: str, **options: Any) -> str:
    done = there(cluster, *words, **options)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_logs_are_those_of_the_web_replicas(cluster: Cluster, instances: FakeInstances) -> None:
    said = right(cluster, "logs", "files", "--tail", "7").splitlines()
    assert said == [
        "vault-files-web-1 | one",
        "vault-files-web-1 | \x1b[2Jtwo",
        "vault-files-web-2 | one",
        "vault-files-web-2 | \x1b[2Jtwo",
    ]
    assert instances.asked[-1].tail == 7


def test_logs_of_another_workload(cluster: Cluster) -> None:
    assert right(cluster, "logs", "files", "db").splitlines()[0] == "vault-files-db-1 | one"
    done = there(cluster, "logs", "files", "nothing")
    assert done.exit_code == 1
    assert "has no container of a workload 'nothing'; it has some of: db, old, web" in done.stderr


def test_logs_are_followed(cluster: Cluster, instances: FakeInstances) -> None:
    line = [sys.executable, "-m", "reconciler.cli", "logs", "files", "db", "--follow"]
    environment = {**os.environ, "KUBECONFIG": "", "VAULT_KUBECONFIG": ""}
    line += ["--kubeconfig", str(cluster.kubeconfig("view"))]
    with subprocess.Popen(
        line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "vault-files-db-1 | one\n"
        assert instances.open_logs
        following.terminate()
        following.wait(SECONDS)
    cluster.until(lambda: not instances.open_logs)


def command(cluster: Cluster, *words: str, role: str = "admin") -> list[str]:
    config = str(cluster.kubeconfig(role))
    return [sys.executable, "-m", "reconciler.cli", "--kubeconfig", config, "exec", "files", *words]


def run(
    cluster: Cluster, *words: str, role: str = "admin", input: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(cluster, *words, role=role),
        cwd=ROOT,
        input=input,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_command_runs_in_a_healthy_replica_and_its_code_is_the_verbs(
    cluster: Cluster, instances: FakeInstances
) -> None:
    done = run(cluster, "--", "exit", "7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"exit 7\n", b"warning\n")
    assert run(cluster, "--", "true").returncode == 0


def test_a_command_gets_the_input(cluster: Cluster) -> None:
    done = run(cluster, "-i", "-c", "db", "--", "cat", input=b"hello\n" * 10_000)
    assert done.returncode == 0
    assert done.stdout == b"cat\n" + b"HELLO\n" * 10_000


def test_a_command_gets_a_terminal(cluster: Cluster, instances: FakeInstances) -> None:
    instances.forget()
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    line = command(cluster, "-it", "--", "sh")
    with (
        closing(os.fdopen(ours, "r+b", buffering=0)) as terminal,
        subprocess.Popen(line, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process,
    ):
        (execution,) = cluster.until(lambda: list(instances.executions))
        cluster.until(lambda: execution.sizes == [(80, 24)])
        termios.tcsetwinsize(theirs, (30, 100))
        process.send_signal(signal.SIGWINCH)
        cluster.until(lambda: execution.sizes == [(80, 24), (100, 30)])
        # Keys reach the command one by one, this one too, which would be a signal otherwise.
        terminal.write(b"a\x03")
        said = b""
        while not said.endswith(b"A\x03"):
            said += terminal.read(1)
        assert said == b"sh\nA\x03"
        process.terminate()
        process.wait(SECONDS)
        os.close(theirs)
    cluster.until(execution.closed.is_set)


def test_a_role_that_may_not_is_told(cluster: Cluster) -> None:
    done = run(cluster, "--", "true", role="edit")
    assert done.returncode == 1
    assert b'cannot create resource "pods/exec"' in done.stderr
    stopped = run(cluster, "-c", "old", "--", "true")
    assert stopped.returncode == 1
    assert b"has no running container of old" in stopped.stderr


def test_the_history_is_that_of_the_state_directory(cluster: Cluster) -> None:
    for words in (["rollout", "history", "files"], ["rollout", "history", "files", "-o", "json"]):
        assert right(cluster, *words) == cluster.vaultctl(*words)
    shown = json.loads(right(cluster, "rollout", "history", "files", "-o", "json"))
    assert [each["changed"] for each in shown] == [["first"], ["env.LEVEL", "replicas"]]
    assert [each["spec"]["env"] for each in shown] == [{"LEVEL": "…"}] * 2
    assert "vaultgateway" not in json.dumps(shown)


def test_kubectl_lists_revisions_and_routes(cluster: Cluster) -> None:
    said = cluster.kubectl(
        "get", "revisions", "-l", "vault.internal/object=files", role="view"
    ).stdout.splitlines()
    assert said[0].split() == ["NAME", "NUMBER", "REVISION", "RESULT", "AGE"]
    assert [line.split()[:4] for line in said[1:]] == [
        ["files.1", "1", "v2-1", "Complete"],
        ["files.2", "2", "v2-2", "Complete"],
    ]
    routes = cluster.kubectl("get", "routes", role="view").stdout.splitlines()
    assert routes[0].split() == ["NAME", "HOST", "PATH", "PORT", "SERVICE", "STATE"]
    assert "files.localhost" in routes[1]


def test_routes_are_those_of_the_state_directory(cluster: Cluster) -> None:
    for words in (["routes"], ["routes", "files", "-o", "json"], ["routes", "-o", "wide"]):
        assert right(cluster, *words) == cluster.vaultctl(*words)
    assert "files.localhost" in right(cluster, "routes")


def test_undo_writes_the_values_of_a_former_revision(cluster: Cluster) -> None:
    shown = right(cluster, "rollout", "undo", "files", "--dry-run", role="edit")
    assert "LEVEL: info" in shown
    assert stored(cluster).spec.env == {"LEVEL": "debug"}
    # The controller would be waited for.
    right(cluster, "rollout", "undo", "files", "--to-revision", "1", "--timeout", "0s", role="edit")
    assert stored(cluster).spec.env == {"LEVEL": "info"}
    assert stored(cluster).spec.replicas == 2
    missing = there(cluster, "rollout", "undo", "files", "--to-revision", "9", role="edit")
    assert missing.exit_code == 1
    assert "there is no revision 9; there are 1, 2" in missing.stderr
    refused = there(cluster, "rollout", "undo", "files", role="view")
    assert refused.exit_code == 1
    assert 'cannot create resource "vaultservices/rollback"' in refused.stderr


def stored(cluster: Cluster) -> Any:
    found = cluster.application.objects.get("files")
    assert found is not None
    return found.resource


def test_a_rollback_by_kubectl(cluster: Cluster, tmp_path: Path) -> None:
    path = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices/files/rollback"
    body = tmp_path / "rollback.json"
    body.write_text(json.dumps({"spec": {"revision": 2}}))
    done = cluster.kubectl("create", "--raw", path, "-f", str(body), role="edit")
    assert done.returncode == 0, done.stderr
    assert stored(cluster).spec.env == {"LEVEL": "debug"}
    for number in (0, "2", True, 1.5):
        body.write_text(json.dumps({"spec": {"revision": number}}))
        refused = cluster.kubectl("create", "--raw", path, "-f", str(body), role="edit")
        assert refused.returncode == 1
        assert "must be the number of a revision" in refused.stderr


def test_the_connection_of_a_command_has_no_tickets_that_two_threads_would_meet_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With TLS 1.3 the request of some commands never left: it is sent while another thread reads tickets."""
    from websockets.sync import client

    from reconciler.cli.remote import command
    from reconciler.cli.remote.target import Target

    shown: list[ssl.SSLContext] = []

    def connect(*args: Any, ssl: ssl.SSLContext, **options: Any) -> None:
        shown.append(ssl)
        raise OSError("this test has no server")

    monkeypatch.setattr(client, "connect", connect)
    with pytest.raises(TemporaryError, match="this test has no server"):
        command.run(Target("https://127.0.0.1:1", "token"), "pod", ["true"], stdin=False, tty=False)
    assert [each.maximum_version for each in shown] == [ssl.TLSVersion.TLSv1_2]
