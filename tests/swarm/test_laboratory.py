"""The laboratory itself: a Swarm that works as one of real machines, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.waiting import until
from tests.swarm.laboratory import NAMESPACES, PREFIX, Laboratory, laboratory

pytestmark = [pytest.mark.docker, pytest.mark.turns]


def test_nodes_are_machines_of_their_own(swarm: Laboratory) -> None:
    assert swarm.first.docker("node", "ls", "--format", "{{.Hostname}}").split() == [
        "node1",
        "node2",
        "node3",
    ]
    assert {node.docker("info", "--format", "{{.Name}}") for node in swarm.nodes} == {
        "node1",
        "node2",
        "node3",
    }
    before = Path("/proc/self/net/dev").read_text()
    with swarm.first.entered():
        assert "eth0" in Path("/proc/self/net/dev").read_text()
        assert (
            "eth0"
            in subprocess.run(["cat", "/proc/net/dev"], capture_output=True, text=True, check=True).stdout
        )
    assert Path("/proc/self/net/dev").read_text().count("\n") == before.count("\n")


def test_containers_are_led_to_the_engine_of_their_node(swarm: Laboratory) -> None:
    """Where a machine has it; that of this machine is at the same place outside of the laboratory."""
    ask = (
        "import http.client as h, socket, json; c = h.HTTPConnection('engine'); c.sock = socket.socket(socket.AF_UNIX); "
        "c.sock.connect('/engine.sock'); c.request('GET', '/info'); print(json.load(c.getresponse())['Name'])"
    )
    words = ("--rm", "--user=0", "--volume=/var/run/docker.sock:/engine.sock", "--entrypoint=python3")
    for node in swarm.nodes:
        assert node.docker("run", *words, "vault-reconciler/whoami:latest", "-c", ask) == node.name


def test_tasks_reach_each_other_across_nodes_by_their_name(swarm: Laboratory) -> None:
    docker = swarm.first.docker
    docker("network", "create", "--driver", "overlay", "--attachable", "lab-net")
    try:
        image = docker("image", "inspect", "--format", "{{.Id}}", "vault-reconciler/whoami:latest")
        words = (
            "--detach=false",
            "--quiet",
            "--no-resolve-image",
            "--endpoint-mode",
            "dnsrr",
            "--network",
            "lab-net",
        )
        docker(
            "service", "create", *words, "--name", "lab-web", "--constraint", "node.hostname==node3", image
        )
        page = "import urllib.request as u; print(u.urlopen('http://lab-web:8000/', timeout=10).status)"
        seen = docker("run", "--rm", "--network", "lab-net", "--entrypoint", "python3", image, "-c", page)
        assert seen == "200"
    finally:
        docker("service", "rm", "lab-web", check=False)
        swarm.first.docker("network", "rm", "lab-net", check=False)


def test_nothing_is_left_also_after_a_failure() -> None:
    made: list[Laboratory] = []

    def fail() -> None:
        with laboratory((), size=1) as lab:
            made.append(lab)
            raise ValueError("a test fails")

    with pytest.raises(ValueError, match="a test fails"):
        fail()
    (node,) = made[0].nodes
    assert node.process is not None
    assert node.process.poll() is not None
    assert not (NAMESPACES / node.namespace).exists()
    assert not node.root.exists()
    assert not node.disk.exists()
    root = str(node.root)
    mounts = Path("/proc/self/mounts").read_text()
    assert root not in mounts


def test_an_engine_that_panics_is_started_again() -> None:
    with laboratory((), size=1) as lab:
        pid_file = lab.first.root / "dockerd.pid"
        former = pid_file.read_text()
        # Go's runtime ends by it as by a panic.
        os.kill(int(former), signal.SIGABRT)
        until("there is another engine", lambda: pid_file.exists() and pid_file.read_text() != former)
        until("it answers", lambda: lab.first.docker("info", "--format", "{{.Name}}", check=False) == "node1")
    assert lab.first.process.poll() == 0


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, ours = (f"{PREFIX}{pid}" for pid in (ended.pid, os.getpid()))
    for name in (left, ours):
        subprocess.run(["ip", "netns", "add", f"{name}-1-test"], check=True)
        (tmp_path / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", name, tmp_path / name], check=True)
    try:
        with laboratory((), size=1):
            assert not (NAMESPACES / f"{left}-1-test").exists()
            assert not (tmp_path / left).exists()
            assert (NAMESPACES / f"{ours}-1-test").exists(), "it may be in use"
            assert (tmp_path / ours).is_mount(), "it may be in use"
    finally:
        subprocess.run(["ip", "netns", "delete", f"{ours}-1-test"], check=True)
        subprocess.run(["umount", tmp_path / ours], check=True)
