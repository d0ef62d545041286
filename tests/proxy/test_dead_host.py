"""The machine of a replica is gone: its address answers nothing, not even that a port is closed.

The replica's own routes are taken away, so that packets to it are lost, as on an overlay network whose other end has died.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from reconciler.api.traffic import HealthCheck
from reconciler.core.desired.stack import Stack
from tests.chaos.fault import GONE_SECONDS
from tests.e2e.load import FRESH_GET, FRESH_POST, Load
from tests.proxy.conftest import World, docker, new_name, start_replica

pytestmark = pytest.mark.docker

NAMES: Final = ("one", "two", "three")
RATE: Final = 100.0
AFTER_SECONDS: Final = 2.0


@pytest.mark.parametrize("rate", [RATE, 0.0], ids=["busy", "idle"])
@pytest.mark.parametrize("added", [False, True], ids=["written", "added"])
def test_it_is_out_of_the_pool_within_the_time_of_health_checks(
    world: World, change: Callable[..., Stack], added: bool, rate: float
) -> None:
    world.stack = change(
        world.stack, health=replace(world.stack.proxy.health, interval=HealthCheck().interval)
    )
    containers = {name: new_name(name) for name in NAMES}
    try:
        *others, dead = (start_replica(name, container) for name, container in containers.items())
        world.configure(*others, *(() if added else (dead,)))
        world.start()
        if added:
            world.add(dead)
        world.until(lambda: world.up() == set(NAMES))
        with Load(world.port, rate, (FRESH_GET, FRESH_POST), patience=30.0) as load:
            _take_routes_away(containers[dead.name])
            gone = time.monotonic()
            world.until(lambda: dead.name not in world.up(), GONE_SECONDS)
            out = time.monotonic()
            time.sleep(AFTER_SECONDS)
    finally:
        docker("rm", "--force", *containers.values(), check=False)
    # Until it is known, requests are sent there, get no connection, and are tried on another replica.
    assert not [str(shot) for shot in load.lost if shot.began > gone]
    assert {shot.replica for shot in load.shots if shot.began > out} <= {"one", "two"}


def _take_routes_away(container: str) -> None:
    pid = docker("inspect", "--format={{.State.Pid}}", container)
    words = ["nsenter", "--target", pid, "--net", "ip", "route", "flush", "table", "main"]
    subprocess.run(words, check=True, timeout=30)
