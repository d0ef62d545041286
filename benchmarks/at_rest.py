"""The cost of an idle controller: CPU time, memory, and its effect on the throughput of HAProxy.

    .venv/bin/python benchmarks/at_rest.py

Ten idle services of ten replicas, and a hundred of three. The resync of every minute is included. A few connections send
requests through HAProxy as fast as they can, in turn with the controller running and stopped by SIGSTOP.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import psutil

from benchmarks.harness import page
from benchmarks.harness.contestants import DEADLINE, Setting, ours
from benchmarks.harness.crowd import CONTAINERS_BESIDE, crowd, most_services
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from benchmarks.harness.row import BARE, MEGABYTES, PERCENT, Goal, Row

CROWDS: Final = {10: 10, 100: 3}
"""Replicas of each service, by the number of services."""
STARTS_A_SECOND: Final = 1.0
"""Containers of a crowd that even a busy machine starts in a second."""
SETTLE_SECONDS: Final = 10.0
SAMPLES: Final = 2
SAMPLE_SECONDS: Final = {10: 20.0, 100: 60.0}
"""By the number of services. With many of them, a sample is a whole round of the resync."""
MEGABYTE: Final = 1 << 20

LOAD_ROUNDS: Final = 16
LOAD_SECONDS: Final = 2.0
CONNECTIONS: Final = 8
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def rows(lab: Lab) -> Iterator[Row]:
    """Processor, memory, and throughput."""
    for count, replicas in CROWDS.items():
        yield from _rest(min(count, most_services(lab)), replicas, SAMPLE_SECONDS[count])
    yield _throughput()


def _rest(count: int, replicas: int, seconds: float) -> Iterator[Row]:
    shares, memory = [], []
    spec: dict[str, Any] = {"plugin": "idle", "replicas": replicas, "healthcheck": {"interval": "1m"}}
    patience = DEADLINE + count * (replicas + CONTAINERS_BESIDE) / STARTS_A_SECOND
    with crowd(count, **spec) as services, services.stage.controller() as controller:
        process = psutil.Process(controller.pid)
        wait_until("all services are Ready", lambda: services.is_ready, patience)
        time.sleep(SETTLE_SECONDS)
        for _ in range(SAMPLES):
            before = processor_seconds(process)
            time.sleep(seconds)
            shares.append(100 * (processor_seconds(process) - before) / seconds)
            memory.append(process.memory_info().rss / MEGABYTE)
    what = f"controller at rest, {count} services × {replicas} replicas"
    resync = "a resync of one pass over each service a minute, and at most one a second"
    yield Row(f"{what}: of a core", PERCENT, tuple(shares), resync, goal=Goal(at_most=0.5))
    bare = f"a Python that does nothing: {_bare_memory():.0f} MB"
    flat = "The soak below shows whether memory stays constant; there was no run of an hour."
    yield Row(f"{what}: RSS", MEGABYTES, tuple(memory), bare, goal=Goal(at_most=90), note=flat)


def processor_seconds(process: psutil.Process) -> float:
    """The time that a controller has used since it began."""
    times = process.cpu_times()
    # Compose and docker are child processes; their use counts for the controller.
    return times.user + times.system + times.children_user + times.children_system


def _bare_memory() -> float:
    program = "import psutil; print(psutil.Process().memory_info().rss)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout) / MEGABYTE


def _throughput() -> Row:
    with ours(Setting(replicas=3, boot=0.0)) as subject:
        assert subject.controller is not None
        with_controller: list[float] = []
        without: list[float] = []
        asyncio.run(_answers(subject.port, LOAD_SECONDS))
        try:
            for number in range(LOAD_ROUNDS):
                # Each is the first one in turn: the second one of a round finds another machine.
                for is_stopped in (number % 2 == 0, number % 2 == 1):
                    subject.controller.send_signal(signal.SIGSTOP if is_stopped else signal.SIGCONT)
                    answers = asyncio.run(_answers(subject.port, LOAD_SECONDS))
                    (without if is_stopped else with_controller).append(answers)
        finally:
            subject.controller.send_signal(signal.SIGCONT)
    what = f"requests a second through HAProxy, {CONNECTIONS} connections"
    goal = Goal(ratio_at_least=0.99)
    limit = "the same HAProxy alone"
    return Row(what, BARE, tuple(with_controller), limit, "controller absent", tuple(without), goal)


async def _answers(port: int, seconds: float) -> float:
    """Responses a second: each connection sends the next request as soon as it has a response."""
    end = time.monotonic() + seconds
    counts = await asyncio.gather(*(_ask(port, end) for _ in range(CONNECTIONS)))
    return sum(counts) / seconds


async def _ask(port: int, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.monotonic() < end:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
