"""Requests a second through a gateway, beside a bare HAProxy with the same files, and on both networks.

A second bare HAProxy does not count answers by their times, as the page needs it.

    .venv/bin/python benchmarks/throughput.py [SECONDS]

`wrk` asks by HTTP/1.1 over kept connections, `h2load` by HTTP/2; scripts/http-clients has both. The replicas are HAProxies
with one answer for all requests. The controller runs beside the gateway, and nothing beside the bare HAProxy.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import page
from benchmarks.harness.contestants import DEADLINE, PLUGINS, RefusedError
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.row import BARE, Goal, Row
from reconciler.proxy.haproxy.containers import CONFIG_MOUNT, RUN_MOUNT, SLOT_VARIABLE
from reconciler.proxy.haproxy.gateway.containers import slot_overlay
from tests.e2e.docker_cli import docker
from tests.e2e.stage import HOST, Stage, free_port, staged
from tests.http_clients import programs

ROUNDS: Final = 20
SECONDS: Final = 2
"""Many short rounds: programs, replicas and HAProxy share the processors, so that single rates differ by a fifth."""
CONNECTIONS: Final = 32
COMMAND_SECONDS: Final = 60.0
PROBE_SECONDS: Final = 2.0
SLOTS: Final = {True: 2, False: 3}
"""Others than the gateway's, because names of sockets and the exporter's port have it; by whether times are counted."""
COUNTING: Final = "sc-inc-gpc("
"""What a rule has that counts an answer by its time."""
SPEC: Final[Mapping[str, Any]] = {"plugin": "swift", "replicas": 2}
AS_FAST: Final = Goal(ratio_at_least=0.99)


def rows(lab: Lab, seconds: int = SECONDS) -> Iterator[Row]:
    """One for each program and comparison. `seconds` is how long a program asks in a round."""
    programs()
    with ExitStack() as stack:
        host = stack.enter_context(_gateway("host"))
        published = stack.enter_context(_gateway("published"))
        bare = stack.enter_context(_bare(host))
        silent = stack.enter_context(_bare(host, counts=False))
        for name, ask in PROGRAMS.items():
            ports = {"ours": host.port, "bare": bare, "published": published.port, "silent": silent}
            rates = _rates(partial(ask, seconds), ports)
            what = f"requests a second through a gateway ({name})"
            own = "a bare HAProxy with the same files"
            yield Row(what, BARE, rates["ours"], "HAProxy", own, rates["bare"], AS_FAST)
            what = f"requests a second with `network: host` ({name})"
            yield Row(what, BARE, rates["ours"], "HAProxy", "`network: published`", rates["published"])
            what = f"requests a second, answers counted by their times ({name})"
            yield Row(what, BARE, rates["bare"], "HAProxy", "not counted", rates["silent"], AS_FAST)


def _rates(ask: Callable[[int], float], ports: Mapping[str, int]) -> Mapping[str, tuple[float, ...]]:
    """Rates in alternating rounds, of which the first does not count and every second goes backwards."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for number in range(ROUNDS + 1):
        for name in sorted(ports, reverse=bool(number % 2)):
            rate = ask(ports[name])
            if number:
                rates[name].append(rate)
    return {name: tuple(found) for name, found in rates.items()}


def wrk(seconds: int, port: int) -> float:
    """Requests a second by HTTP/1.1. Raises RefusedError when one of them was not answered well."""
    told = _told(
        "wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", _url(port)
    )
    if "Non-2xx" in told or "Socket errors" in told:
        raise RefusedError(told)
    return _number(r"Requests/sec:\s+([\d.]+)", told)


def h2load(seconds: int, port: int) -> float:
    """Requests a second by HTTP/2 without TLS."""
    told = _told("h2load", f"--duration={seconds}", "--clients=4", "--max-concurrent-streams=8", _url(port))
    if " 0 failed, 0 errored" not in told:
        raise RefusedError(told)
    return _number(r", ([\d.]+) req/s", told)


PROGRAMS: Final[Mapping[str, Callable[[int, int], float]]] = {"wrk": wrk, "h2load": h2load}


@contextmanager
def _gateway(network: str) -> Iterator[Stage]:
    """A gateway with one service, and the controller of both."""
    with staged(routed=True, gateway={"network": network}, **SPEC) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        with stage.controller():
            stage.converged(DEADLINE)
            yield stage


@contextmanager
def _bare(stage: Stage, *, counts: bool = True) -> Iterator[int]:
    """The port of an HAProxy on the host's network with the files of this gateway, but for the port, and for the rules
    that count answers by their times if it has not to.
    """
    source, slot = stage.state / "gateways" / stage.gateway, SLOTS[counts]
    port, name = free_port(), f"t-bare-{secrets.token_hex(4)}"
    copy = stage.root / f"bare-{slot}"
    shutil.copytree(source / "haproxy", copy / "haproxy", ignore=shutil.ignore_patterns("*.sock"))
    _as_readable(source, copy)
    file = copy / "haproxy" / "gateway.cfg"
    before = file.read_text()
    after = before.replace(f"bind :{stage.port} ", f"bind :{port} ")
    assert before != after, "its port is not there"
    assert COUNTING in after, "it counts nothing"
    lines = [line for line in after.splitlines(keepends=True) if counts or COUNTING not in line]
    file.write_text("".join(lines))
    overlay = slot_overlay(slot, None)
    try:
        docker(
            "run", "--detach", f"--name={name}", "--network=host", "--user=0:99", f"--env={SLOT_VARIABLE}={slot}",
            f"--volume={copy / 'haproxy'}:{CONFIG_MOUNT}:ro", f"--volume={copy / 'run'}:{RUN_MOUNT}",
            "haproxy:3.0", *overlay["command"],
        )  # fmt: skip
        try:
            wait_until("the bare HAProxy answers", lambda: _answers(port), DEADLINE)
        except RefusedError as error:
            raise RefusedError(f"{error}; {docker('logs', name)}") from error
        yield port
    finally:
        docker("rm", "--force", name, check=False)


def _as_readable(source: Path, copy: Path) -> None:
    (copy / "run").mkdir()
    (copy / "run").chmod(0o777)
    for path in copy.rglob("*"):
        if path.is_relative_to(copy / "haproxy"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    copy.chmod(0o755)


def _answers(port: int) -> bool:
    """Whether one of the replicas answers through it."""
    try:
        with urllib.request.urlopen(_url(port), timeout=PROBE_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _url(port: int) -> str:
    return f"http://{HOST}:{port}/"


def _told(*words: str) -> str:
    done = subprocess.run(
        [programs() / words[0], *words[1:]],
        capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RefusedError(f"{words[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _number(pattern: str, told: str) -> float:
    found = re.search(pattern, told)
    if found is None:
        raise RefusedError(f"no rate in {told}")
    return float(found[1])


if __name__ == "__main__":
    import sys

    with Lab() as lab:
        print(page.text(rows(lab, int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))
