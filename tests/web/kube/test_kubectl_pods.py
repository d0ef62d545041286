"""kubectl itself reads what runs, follows logs, runs commands and forwards ports; roles bound what it may."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import socket
import socketserver
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Role
from tests.web.kube.cluster import SECONDS, Cluster, served
from tests.web.kube.instances import FakeInstances, instance

MANIFEST = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, replicas: 2, ports: {http: 8081}}
"""
SECRET = "hunter2-hunter2"
LINES = [b"first\nse", b"cond " + SECRET.encode() + b"\nthird \xff\n", b"last without an end"]
WEB, OTHER, PROXY = "vault-files-web-1", "vault-files-web-2", "vault-files-haproxy-1"


@pytest.fixture(scope="module")
def instances() -> FakeInstances:
    proxy = instance(PROXY, workload="haproxy", role=Role.PROXY, ports=(), on_host=True)
    foreign = instance("vault-other-web-1", label="other")
    ended = instance(OTHER, state=State.EXITED, exit_code=3, restarts=2)
    return FakeInstances([instance(WEB), ended, proxy, foreign], LINES)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, instances: FakeInstances) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("pods")
    with served(home / "state", home, instances=instances) as found:
        found.apply(MANIFEST)
        found.application.secrets.learn("files", [SECRET])
        found.until(lambda: "files" in found.kubectl("get", "vs").stdout)
        yield found


TABLE = [
    # What is asked, the exit code, and patterns of what is printed.
    ("get pods", 0, [r"\ANAME +READY +STATUS +RESTARTS +AGE$", rf"^{WEB} +1/1 +Running +0 ", rf"^{OTHER} +0/1 +Error +2 "]),
    ("get pods -o name", 0, [rf"\Apod/{PROXY}\npod/{WEB}\npod/{OTHER}\n\Z"]),
    ("get po -o wide", 0, [r"IP +NODE +OBJECT +IMAGE$", r"127\.0\.0\.1 +\S+ +files +web:1$"]),
    ("get po -l vault.internal/workload=haproxy -o name", 0, [rf"\Apod/{PROXY}\n\Z"]),
    ("get po --field-selector status.phase=Failed -o name", 0, [rf"\Apod/{OTHER}\n\Z"]),
    ("get pod vault-other-web-1", 1, [r'NotFound.*pods "vault-other-web-1" not found']),
    ("get all", 0, [rf"^pod/{WEB} ", r"^vaultservice\.vault\.internal/files "]),
    ("describe pod " + WEB, 0, [r"^Controlled By: +VaultService/files$", r"Ready: +True"]),
    ("get nodes", 0, [r"^\S+ +Ready +control-plane +\S+ +v1\.32"]),
    ("describe node", 0, [r"^ +cpu: +2$"]),
    ("top pods", 0, [rf"^{WEB} +250m +5Mi"]),
    ("top nodes", 0, [r"500m +25% +1024Mi +25%"]),
    (f"logs {WEB}", 0, [r"\Afirst\nsecond \[secret\]\nthird"]),
    (f"logs {WEB} -c web", 0, [r"\Afirst"]),
    (f"logs {WEB} -c nothing", 1, [r"nothing is not valid for pod"]),
    (f"logs {WEB} --limit-bytes=3", 0, [r"\Afir\Z"]),
    (f"logs {WEB} --since=5m --since-time=2026-05-01T12:00:00Z", 1, [r"at most one of"]),
    ("logs vault-files-never-1", 1, [r"NotFound"]),
    # Several logs come at once, and one of them ends without an end of line.
    ("logs -l vault.internal/object=files --prefix", 0, [rf"\[pod/{PROXY}/haproxy\] first$"]),
    (f"exec {WEB} -- echo 0", 0, [r"\Aecho 0\n"]),
    (f"exec {WEB} -- exit 7", 7, [r"exit 7\n", r"warning\n", r"exit code 7"]),
    (f"exec {OTHER} -- true", 1, [r"current phase is Failed"]),
    ("exec vault-other-web-1 -- true", 1, [r"NotFound"]),
    (f"delete pod {PROXY}", 1, [r"Forbidden.*no web replica but the proxy haproxy.*vaultctl rollout restart files"]),
    (f"delete pod {OTHER} --dry-run=server", 0, [r"deleted \(server dry run\)"]),
    ("delete pod never", 1, [r"NotFound"]),
    (f"label pod {WEB} a=b", 1, [r"does not allow this method"]),
    ("run web --image=web", 1, [r"does not allow this method"]),
    (f"port-forward {PROXY} 0:80", 1, [r"forbidden.*network of the host"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "patterns"), TABLE, ids=[each[0] for each in TABLE])
def test_kubectl(cluster: Cluster, line: str, code: int, patterns: list[str]) -> None:
    done = cluster.kubectl(*line.split())
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    for pattern in patterns:
        assert re.search(pattern, printed, re.MULTILINE), printed


ROLES = [
    ("view", "get pods --subresource=log", "yes"),
    ("view", "create pods --subresource=exec", "no"),
    ("view", "create pods --subresource=portforward", "no"),
    ("view", "delete pods", "no"),
    ("edit", "create pods --subresource=exec", "no"),
    ("edit", "create pods --subresource=portforward", "yes"),
    ("edit", "delete pods", "yes"),
    ("admin", "create pods --subresource=exec", "yes"),
]


@pytest.mark.parametrize(("role", "what", "answer"), ROLES)
def test_roles(cluster: Cluster, role: str, what: str, answer: str) -> None:
    done = cluster.kubectl("auth", "can-i", *what.split(), role=role)
    assert done.stdout.split()[0] == answer, done.stderr


@pytest.mark.parametrize(
    ("role", "line"),
    [
        ("view", f"exec {WEB} -- true"),
        ("edit", f"exec {WEB} -- true"),
        ("view", f"port-forward {WEB} 0:80"),
        ("view", f"delete pod {WEB}"),
    ],
)
def test_what_a_role_may_not_do_is_refused(
    cluster: Cluster, instances: FakeInstances, role: str, line: str
) -> None:
    before = len(instances.executions)
    done = cluster.kubectl(*line.split(), role=role)
    assert done.returncode == 1
    assert re.search(r"[Ff]orbidden", done.stderr), done.stderr
    assert len(instances.executions) == before


def test_standard_input_is_passed_on(cluster: Cluster) -> None:
    done = cluster.kubectl("exec", "-i", WEB, "--", "cat", stdin="x" * 100_000)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "cat\n" + "X" * 100_000


def test_a_terminal_has_its_size(cluster: Cluster, instances: FakeInstances) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 33, 101, 0, 0))
    count = len(instances.executions)
    os.set_inheritable(follower, True)
    with subprocess.Popen(
        cluster.line("exec", "-it", WEB, "--", "sh"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=cluster.environment(),
    ) as program:
        os.close(follower)
        try:
            cluster.until(lambda: len(instances.executions) > count and instances.executions[-1].sizes)
            assert instances.executions[-1].sizes[0] == (101, 33)
            os.write(leader, b"hello\r")
            seen = b""
            while b"HELLO" not in seen:
                seen += os.read(leader, 4096)
        finally:
            program.kill()
            os.close(leader)
    assert cluster.until(lambda: instances.executions[-1].closed.is_set())


def test_a_log_is_followed_until_the_client_leaves(cluster: Cluster, instances: FakeInstances) -> None:
    following = cluster.follow("logs", "-f", WEB)
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    assert instances.open_logs == 1
    following.kill()
    following.communicate(timeout=SECONDS)
    cluster.until(lambda: instances.open_logs == 0)


def test_since_the_last_start_and_before_it(cluster: Cluster, instances: FakeInstances) -> None:
    cluster.kubectl("logs", WEB, "--tail=5", "--timestamps")
    now = instances.asked[-1]
    assert (now.since, now.until, now.tail, now.timestamps) == ("1777636801.123456789", "", 5, True)
    cluster.kubectl("logs", WEB, "--previous")
    before = instances.asked[-1]
    assert (float(before.since), before.until, before.follow) == (0.0, "1777636801.123456789", False)


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets, after the number of bytes."""

    def handle(self) -> None:
        data = bytearray()
        while chunk := self.request.recv(65536):
            data += chunk
        self.request.sendall(b"%d:" % len(data) + data)


@pytest.fixture
def echo() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_ports_are_forwarded(cluster: Cluster, echo: int) -> None:
    forwarding = cluster.follow("port-forward", WEB, f":{echo}", role="edit")
    try:
        assert forwarding.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+) ->", forwarding.stdout.readline())
        assert found is not None
        sent = os.urandom(300_000)

        def ask(results: list[bytes]) -> None:
            with socket.create_connection(("127.0.0.1", int(found[1])), SECONDS) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                got = bytearray()
                while chunk := connection.recv(65536):
                    got += chunk
                results.append(bytes(got))

        results: list[bytes] = []
        threads = [threading.Thread(target=ask, args=[results]) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [b"300000:" + sent] * 5
    finally:
        forwarding.kill()
        forwarding.communicate(timeout=SECONDS)


def test_a_port_that_does_not_answer_is_told(cluster: Cluster) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        forwarding = cluster.follow("port-forward", WEB, f":{unused.getsockname()[1]}")
        try:
            assert forwarding.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+) ->", forwarding.stdout.readline())
            assert found is not None
            with socket.create_connection(("127.0.0.1", int(found[1])), SECONDS) as connection:
                connection.settimeout(SECONDS)
                assert connection.recv(10) == b""
        finally:
            forwarding.kill()
            printed, _ = forwarding.communicate(timeout=SECONDS)
    assert "Connection refused" in printed


def test_a_deleted_web_replica_is_marked_and_everything_is_in_the_audit_log(
    tmp_path: Path,
) -> None:
    fakes = FakeInstances([instance(WEB)])
    with served(tmp_path / "state", tmp_path, instances=fakes) as cluster:
        cluster.apply(MANIFEST)
        cluster.until(lambda: WEB in cluster.kubectl("get", "pods").stdout)
        watching = cluster.follow("get", "pods", "-w", "--no-headers")
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[:3] == [WEB, "1/1", "Running"]
        assert cluster.kubectl("delete", "pod", WEB, "--wait=false", role="edit").returncode == 0
        assert watching.stdout.readline().split()[:3] == [WEB, "1/1", "Terminating"]
        stored = cluster.application.objects.get("files")
        assert stored is not None
        assert list(stored.evicted or ()) == [instance(WEB).id]
        # The manifest is applied again: the request stays.
        cluster.apply(MANIFEST.replace("replicas: 2", "replicas: 3"))
        stored = cluster.application.objects.get("files")
        assert stored is not None
        assert list(stored.evicted or ()) == [instance(WEB).id]
        fakes.found = [replace(instance(OTHER), id="f" * 64)]
        fakes.changed.set()
        seen = {tuple(watching.stdout.readline().split()[:3]) for _ in range(2)}
        assert (OTHER, "1/1", "Running") in seen
        watching.kill()
        watching.communicate(timeout=SECONDS)
        records = [json.loads(line) for line in (cluster.state / "audit.jsonl").read_text().splitlines()]
        assert [(each["verb"], each["resource"], each["stage"]) for each in records] == [
            ("delete", "pods", "asked"),
            ("delete", "pods", "done"),
        ]
