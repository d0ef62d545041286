"""Faults of the controller's environment: its process, its state directory, its access to the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from reconciler.engines.compose.plugin import compose_call
from tests.chaos.fault import Fault, Promise, Scene
from tests.e2e.relay import Relay
from tests.e2e.waiting import until

STOPPED_SECONDS: Final = 60.0
HANGING_SECONDS: Final = 45.0
"""Longer than the timeout of one call to the engine."""
DISK_SECONDS: Final = 10.0
DISK_SIZE: Final = "16m"
RIVALS: Final = 3
SLOW: Final = """#!/bin/sh
[ "$1" = docker-cli-plugin-metadata ] || sleep 5
exec {program} "$@"
"""


def _the_controller_is_killed(scene: Scene) -> Iterator[None]:
    yield
    before = set(scene.stage.replicas())
    scene.change()
    until("the rollout is under way", lambda: set(scene.stage.replicas()) - before)
    scene.controller.kill()
    scene.controller.wait()
    scene.start_controller()


def _the_controller_is_stopped(scene: Scene) -> Iterator[None]:
    yield
    with scene.stopped():
        scene.change()
        scene.endure()


def _several_controllers(scene: Scene) -> Iterator[None]:
    yield
    late = scene.start_controller()
    until("the late one has gone", lambda: late.poll() is not None)
    scene.controllers[0].kill()
    scene.controllers[0].wait()
    rivals = [scene.start_controller() for _ in range(RIVALS)]
    scene.change()
    until("one is left", lambda: sum(rival.poll() is None for rival in rivals) == 1)


def _the_disk_is_full(scene: Scene) -> Iterator[None]:
    with _small_disk(scene.stage.state):
        yield
        filler = scene.stage.state / "filler"
        _fill(filler)
        scene.change()
        scene.endure()
        filler.unlink()
        yield


@contextmanager
def _small_disk(directory: Path) -> Iterator[None]:
    options = f"size={DISK_SIZE},mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", str(directory)], check=True, timeout=10)
    try:
        yield
    finally:
        # Lazily, because this process may still have a file of the state directory open.
        subprocess.run(["umount", "--lazy", str(directory)], check=True, timeout=10)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def _the_disk_is_read_only(scene: Scene) -> Iterator[None]:
    yield
    # A file system with files open for writing cannot become read-only, but a file can always become immutable.
    with _immutable(scene.stage.state):
        scene.change()
        scene.endure()


@contextmanager
def _immutable(directory: Path) -> Iterator[None]:
    _each_file(directory, "+i")
    try:
        yield
    finally:
        _each_file(directory, "-i")


def _each_file(directory: Path, attribute: str) -> None:
    # Not SQLite's index, which is memory that processes share by a file: who writes to an immutable page gets a SIGBUS.
    found = ["find", str(directory), "(", "-type", "f", "-o", "-type", "d", ")", "-not", "-name", "*-shm"]
    subprocess.run([*found, "-exec", "chattr", attribute, "{}", "+"], check=True, timeout=10)


def _docker_is_slow(scene: Scene) -> Iterator[None]:
    slow = scene.stage.root / "slow"
    programs = {slow / "docker": shutil.which("docker")}
    # Compose is called without `docker`; the plugin of a user goes before that of all users.
    programs[slow / "cli-plugins" / "docker-compose"] = compose_call(os.environ)[1]
    for wrapper, program in programs.items():
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(SLOW.format(program=program))
        wrapper.chmod(0o755)
    scene.stage.env["PATH"] = f"{slow}{os.pathsep}{os.environ['PATH']}"
    scene.stage.env["DOCKER_CONFIG"] = str(slow)
    yield
    scene.change()


def _the_api_hangs(scene: Scene) -> Iterator[None]:
    relay = Relay(scene.stage.root / "engine.sock")
    scene.stage.env["DOCKER_HOST"] = relay.url
    with closing(relay):
        yield
        relay.stall()
        scene.change()
        scene.endure()
        relay.flow()
        yield


SURROUNDING_FAULTS: Final = (
    Fault("`kill -9` of the controller in mid-rollout", Promise.NONE, _the_controller_is_killed),
    Fault("SIGSTOP of the controller", Promise.NONE, _the_controller_is_stopped, lasts=STOPPED_SECONDS),
    Fault("several controllers at once", Promise.NONE, _several_controllers),
    Fault("the state directory's disk is full", Promise.NONE, _the_disk_is_full, lasts=DISK_SECONDS),
    Fault("the state directory is read-only", Promise.NONE, _the_disk_is_read_only, lasts=DISK_SECONDS),
    Fault("each `docker` command takes 5 s longer", Promise.NONE, _docker_is_slow),
    Fault("the engine's API hangs", Promise.NONE, _the_api_hangs, lasts=HANGING_SECONDS),
)
