"""The main path by hand, on a real engine: apply, look, change, delete, without a controller and with one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from urllib.request import urlopen

import pytest

from tests.e2e.docker_cli import containers, remove_project

Process = Callable[..., CompletedProcess[str]]
Manifest = Callable[..., Path]

pytestmark = pytest.mark.docker


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def name() -> Iterator[str]:
    """A name of our own; whatever runs under it is removed, however the test ends."""
    mine = f"t-cli-{uuid.uuid4().hex[:8]}"
    yield mine
    remove_project(f"vault-{mine}")


def running(name: str, workload: str) -> list[str]:
    return containers(f"vault-{name}", workload)


def test_without_a_controller(process: Process, manifest: Manifest, name: str, port: int) -> None:
    path = manifest(name, replicas="2", ports=f"{{http: {port}}}")
    assert process("diff", "-f", path).returncode == 1
    assert process("apply", "-f", path, "--dry-run").returncode == 0
    assert running(name, "whoami") == [], "a dry run starts nothing"

    done = process("apply", "-f", path, "--wait", "--timeout", "60s")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"vaultservice/{name} created",
        f"{name} is Ready: http://127.0.0.1:{port}/",
    ]
    assert "converging here" in done.stderr
    assert "2/2 serving" in done.stderr
    with urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        assert answer.status == 200

    none = process("diff", "-f", path)
    assert (none.returncode, none.stdout) == (0, f"vaultservice/{name}: nothing differs\n")
    again = process("apply", "-f", path)
    assert again.stdout.splitlines()[0] == f"vaultservice/{name} unchanged"

    manifest(name, replicas="3", ports=f"{{http: {port}}}")
    changed = process("diff", "-f", path)
    assert changed.returncode == 1
    assert "[1] create 1 × whoami" in changed.stdout
    (look,) = json.loads(process("diff", "-f", path, "-o", "json").stdout)
    assert look["operations"][0]["kind"] == "CreateReplicas"
    done = process("apply", "-f", path, "--wait", "-o", "json")
    assert json.loads(done.stdout)["status"]["replicas"]["serving"] == 3
    assert len(running(name, "whoami")) == 3

    page = process("describe", name).stdout
    assert page.count("healthy   up") == 3
    assert "Last 15 events" in page
    assert "CreateReplicas" in process("events", name).stdout
    assert f"vault-{name}-haproxy-1 |" in process("logs", name, "haproxy").stdout

    gone = process("delete", name, "--timeout", "60s")
    assert (gone.returncode, gone.stdout) == (0, f"vaultservice/{name} deleted\n"), gone.stderr
    assert running(name, "whoami") == []
    assert process("get", name).returncode == 1


def test_a_port_that_is_taken(process: Process, manifest: Manifest, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        path = manifest(name, ports=f"{{http: {taken.getsockname()[1]}}}")
        done = process("apply", "-f", path, "--timeout", "30s")
        assert done.returncode == 1
        assert f"{name} is not Ready: Blocked: " in done.stderr
        assert str(os.getpid()) in done.stderr, "it says who has the port"
        assert running(name, "whoami") == [], "nothing is half-started"


class Controller:
    """A `vaultctl run` in a process of its own."""

    def __init__(self, state: Path, *arguments: str | Path) -> None:
        words = [
            sys.executable,
            "-m",
            "reconciler.cli",
            "run",
            "--listen",
            "127.0.0.1:0",
            *map(str, arguments),
        ]
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, text=True, env={**os.environ, "VAULT_STATE_DIR": str(state)}
        )
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().split()[-1]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        _, self.log = self.process.communicate(timeout=180)
        return self.process.returncode


def test_with_a_controller(process: Process, manifest: Manifest, state: Path, name: str, port: int) -> None:
    path = manifest(name, ports=f"{{http: {port}}}")
    controller = Controller(state)
    try:
        wait_for(lambda: urlopen(f"{controller.url}/readyz", timeout=60).status == 200)
        second = process("run")
        assert second.returncode == 1
        assert "a controller runs on" in second.stderr

        done = process("apply", "-f", path, "--wait", "--timeout", "60s")
        assert done.returncode == 0, done.stderr
        assert "converging here" not in done.stderr
        with urlopen(f"{controller.url}/metrics", timeout=60) as answer:
            assert f'vault_replicas{{name="{name}"' in answer.read().decode()
        (replica,) = running(name, "whoami")
    finally:
        code = controller.stop()
    assert code == 0, controller.log
    assert "ending the passes under way" in controller.log
    assert running(name, "whoami") == [replica], "services outlive their controller"

    controller = Controller(state)
    try:
        gone = process("delete", name, "--timeout", "60s")
        assert gone.returncode == 0, gone.stderr
        assert running(name, "gateway") == []
    finally:
        assert controller.stop() == 0


def wait_for(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)
