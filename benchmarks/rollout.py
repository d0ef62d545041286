"""Three replicas of a new release, ours beside what else there is on one machine: how long, and how many requests fail.

    .venv/bin/python benchmarks/rollout.py [ROUNDS]

The release takes 2 s to boot and exits at once on SIGTERM. Clients that never retry go on all the time. Every round
tries all contestants in turn; printed are medians. `docker compose up -d`, docker-rollout and Swarm get an HAProxy that
finds replicas by Docker's DNS; who is not installed, or refuses to work on this engine, is left out with the reason.
"""

from __future__ import annotations

import json
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker as docker_sdk

from tests.e2e.docker_cli import SERVICE, docker, remove_project
from tests.e2e.load import FRESH_GET, FRESH_POST, KEPT_GET, KEPT_POST, Load
from tests.e2e.stage import free_port, staged

ROUNDS: Final = 3
REPLICAS: Final = 3
BOOT_SECONDS: Final = 2
DEADLINE: Final = 120.0
LOOK_SECONDS: Final = 0.02
IMAGE: Final = "vault-reconciler/whoami:latest"
PROXY_IMAGE: Final = "haproxy:3.0"
MIX: Final = (FRESH_GET, KEPT_GET, FRESH_POST, KEPT_POST)
HAPROXY: Final = """
resolvers docker
    nameserver dns 127.0.0.11:53
    hold valid 200ms
    hold obsolete 200ms
    timeout resolve 200ms
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    option redispatch 1
    retries 3
frontend web
    bind :8080
    default_backend web
backend web
    option httpchk GET /healthz
    server-template web {slots} {host}:8000 check inter 200ms resolvers docker init-addr none
"""
HARSH: Final = {"BOOT_SECONDS": str(BOOT_SECONDS), "GRACEFUL": "0"}


@dataclass(frozen=True)
class Subject:
    """A service that runs and can be rolled: its port, the label that all its replicas have, and how to begin."""

    port: int
    label: str
    roll: Callable[[], object]


@dataclass(frozen=True)
class Rolled:
    """One rollout: seconds from its beginning to each phase, and what the clients saw."""

    created: float
    healthy: float
    done: float
    failed: int
    requests: int
    slowest: float


class RefusedError(Exception):
    """A contestant cannot take part here."""


# Contestants


@contextmanager
def ours(replicas: int = REPLICAS, **strategy: Any) -> Iterator[Subject]:
    """A controller follows a manifest, and the manifest is edited."""
    budget = strategy or {"rollingUpdate": {"maxSurge": "100%"}}
    with staged(plugin="whoami", replicas=replicas, strategy=budget, env=HARSH) as stage, stage.controller():
        stage.converged(DEADLINE)
        label = f"{SERVICE}=whoami,com.docker.compose.project={stage.project}"
        yield Subject(stage.port, label, lambda: stage.write(env={"VERSION": "2"}))


@contextmanager
def compose(*roll: str) -> Iterator[Subject]:
    """A Compose project; the file is edited and a command given."""
    project, port = f"t-bench-{secrets.token_hex(3)}", free_port()
    root = _proxy_directory("web")
    file = root / "compose.yaml"

    def write(version: str) -> None:
        web = {
            "image": IMAGE,
            "environment": HARSH | {"VERSION": version},
            "deploy": {"replicas": REPLICAS},
            "init": True,
        }
        proxy = {
            "image": PROXY_IMAGE,
            "ports": [f"127.0.0.1:{port}:8080"],
            "volumes": [f"{root}:/usr/local/etc/haproxy:ro"],
        }
        file.write_text(json.dumps({"name": project, "services": {"web": web, "haproxy": proxy}}))

    def run() -> None:
        write("2")
        docker(*roll[:1], "--file", str(file), *roll[1:], timeout=DEADLINE)

    try:
        write("1")
        docker("compose", "--file", str(file), "up", "--detach", "--wait")
        _wait_for_answers(port)
        yield Subject(port, f"{SERVICE}=web,com.docker.compose.project={project}", run)
    finally:
        remove_project(project)
        shutil.rmtree(root)


@contextmanager
def docker_rollout() -> Iterator[Subject]:
    """Compose, with the plugin that scales up and then down again."""
    # `docker rollout --help` succeeds without it, with the help of docker itself.
    if "rollout" not in docker("info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}").split():
        raise RefusedError("the docker-rollout plugin is not installed")
    with compose("rollout", "web") as subject:
        yield subject


@contextmanager
def swarm() -> Iterator[Subject]:
    """A Swarm of this machine alone, start-first, all three at once; left again afterwards."""
    began = subprocess.run(
        ["docker", "swarm", "init", "--advertise-addr=127.0.0.1", "--listen-addr=127.0.0.1:2377"],
        capture_output=True,
        text=True,
        check=False,
    )
    if began.returncode:
        raise RefusedError(began.stderr.strip().splitlines()[-1])
    name, port = f"t-bench-{secrets.token_hex(3)}", free_port()
    root = _proxy_directory(f"tasks.{name}")
    settings = [f"--env={key}={value}" for key, value in HARSH.items()]
    order = ["--update-order=start-first", f"--update-parallelism={REPLICAS}", "--detach"]
    try:
        docker("network", "create", "--driver=overlay", "--attachable", name)
        docker(
            *("service", "create", f"--name={name}", f"--network={name}", "--endpoint-mode=dnsrr"),
            *(f"--replicas={REPLICAS}", "--no-resolve-image", "--init", *settings, *order, IMAGE),
        )
        docker(
            *("run", "--detach", f"--name={name}", f"--network={name}", f"--publish=127.0.0.1:{port}:8080"),
            *(f"--volume={root}:/usr/local/etc/haproxy:ro", PROXY_IMAGE),
        )
        _wait_for_answers(port)
        update = ("service", "update", "--env-add=VERSION=2", *order, name)
        yield Subject(port, f"com.docker.swarm.service.name={name}", lambda: docker(*update))
    finally:
        docker("rm", "--force", name, check=False)
        docker("service", "rm", name, check=False)
        docker("swarm", "leave", "--force", check=False)
        docker("network", "rm", name, check=False)
        shutil.rmtree(root)


def _proxy_directory(host: str) -> Path:
    """The configuration of an HAProxy that follows Docker's DNS closely and redispatches what a replica has refused."""
    root = Path(tempfile.mkdtemp(prefix="vr-"))
    # For HAProxy's user, who is none of this machine's.
    root.chmod(0o755)
    (root / "haproxy.cfg").write_text(HAPROXY.format(host=host, slots=2 * REPLICAS))
    return root


def _wait_for_answers(port: int) -> None:
    deadline = time.monotonic() + DEADLINE
    probe = ["curl", "--silent", "--fail", "--output", "/dev/null", f"http://127.0.0.1:{port}/"]
    while subprocess.run(probe, check=False).returncode:
        if time.monotonic() > deadline:
            raise RefusedError("it does not answer")
        time.sleep(LOOK_SECONDS)


# Measuring


def measure(subject: Subject) -> Rolled:
    """Roll under load; it is done when as many others as there were are healthy and nobody is left of the first."""
    engine = docker_sdk.APIClient()
    filters = {"label": subject.label.split(",")}
    before = {row["Id"] for row in engine.containers(filters=filters)}
    phases: dict[str, float] = {}
    with Load(subject.port, mix=MIX) as load:
        began = time.monotonic()
        wait = begin(subject.roll)
        while "done" not in phases:
            rows = engine.containers(all=True, filters=filters)
            fresh = [row for row in rows if row["Id"] not in before]
            healthy = sum("(healthy)" in row["Status"] for row in fresh)
            old = sum(row["Id"] in before and row["State"] == "running" for row in rows)
            now = time.monotonic() - began
            if fresh:
                phases.setdefault("created", now)
            if healthy == len(before):
                phases.setdefault("healthy", now)
                if not old:
                    phases["done"] = now
            if now > DEADLINE:
                raise RefusedError(f"not rolled within {DEADLINE:.0f} s")
            time.sleep(LOOK_SECONDS)
        wait()
    return Rolled(**phases, failed=len(load.lost), requests=len(load.shots), slowest=load.slowest)


def begin(roll: Callable[[], object]) -> Callable[[], None]:
    """Begin in a thread, since some contestants give the command back only at the end; returns how to wait for it."""
    thread = threading.Thread(target=roll)
    thread.start()
    return thread.join


CONTESTANTS: Final[dict[str, Callable[[], AbstractContextManager[Subject]]]] = {
    "ours, maxSurge 100%": ours,
    "ours, 1 replica, Recreate": lambda: ours(1, type="Recreate"),
    "docker compose up -d": lambda: compose("compose", "up", "--detach"),
    "docker-rollout": docker_rollout,
    "Swarm, start-first": swarm,
}


def main(rounds: int) -> None:
    """Let all take part, as often as asked, and print the table."""
    results: dict[str, list[Rolled]] = {name: [] for name in CONTESTANTS}
    refused: dict[str, str] = {}
    for _ in range(rounds):
        for name, contestant in CONTESTANTS.items():
            if name in refused:
                continue
            try:
                with contestant() as subject:
                    results[name].append(measure(subject))
            except RefusedError as error:
                refused[name] = str(error)
    _report(rounds, results, refused)


def _report(rounds: int, results: dict[str, list[Rolled]], refused: dict[str, str]) -> None:
    print(
        f"{BOOT_SECONDS} s boot, medians of {rounds} alternating rounds, failed requests of all rounds together"
    )
    print(f"{'':27} {'created':>8} {'healthy':>8} {'rolled':>8} {'slowest':>8}   failed")
    for name, rolled in results.items():
        if name in refused:
            print(f"{name:27} left out: {refused[name]}")
            continue
        columns = [[r.created for r in rolled], [r.healthy for r in rolled], [r.done for r in rolled]]
        columns.append([r.slowest for r in rolled])
        times = " ".join(f"{statistics.median(column):6.2f} s" for column in columns)
        failed, requests = sum(r.failed for r in rolled), sum(r.requests for r in rolled)
        print(f"{name:27} {times}   {failed} of {requests}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
