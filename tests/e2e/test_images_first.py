"""An image that takes 24 s to fetch costs no request, with HAProxy holding requests for 3 s: nothing is drained before."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.docker_cli import docker
from tests.e2e.load import Load, read_ledger
from tests.e2e.proof import harsh_stage
from tests.e2e.registry import registry
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from vault_plugins.whoami.plugin import IMAGE

PLUGINS: Final = Path(__file__).parent / "plugins"
FETCH_SECONDS: Final = 24.0
HOLD: Final[dict[str, Any]] = {"proxy": {"holdSeconds": 3}}
RATE: Final = 60.0
"""Requests a second. Each of 24 s would be lost; more of them only keep the machine from fetching."""
SPARE_SECONDS: Final = 6.0
"""The load ends so long before the image comes, also on a machine that is busy with other things."""
SLOWEST: Final = 10.0
"""Seconds; the slow requests of the load take two, a hold ends after three with a loss."""

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Case:
    """What gets a new image, and how the replicas are replaced."""

    variable: str
    workload: str
    strategy: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.workload}-{next(iter(self.strategy.values()))}"


SURGE: Final = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%"}}
CASES: Final = (
    Case("WHOAMI_IMAGE", "whoami", SURGE),
    Case("WHOAMI_IMAGE", "whoami", {"type": "Recreate"}),
    Case("VAULT_STORE_IMAGE", "store", SURGE),
)


@pytest.fixture
def slow_image() -> Iterator[str]:
    """An image that is in a slow registry, and not on this machine."""
    with (
        tempfile.TemporaryDirectory(prefix="vr-registry-") as layers,
        registry(IMAGE, Path(layers), FETCH_SECONDS) as image,
    ):
        yield f"{image}:1"
        docker("rmi", f"{image}:1", check=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_runs_serves_on_while_an_image_is_fetched(case: Case, slow_image: str) -> None:
    """How long the change itself takes, when the image is there, is for other proofs: a busy machine may take 3 s."""
    with harsh_stage(plugin="kiosk", replicas=1, strategy=case.strategy, **HOLD) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        with stage.controller():
            stage.converged()
            before = stage.replicas(case.workload)
            with Load(stage.port, RATE) as load:
                stage.write(env={case.variable: slow_image})
                until("it is being fetched", lambda: f"image {slow_image} is being pulled" in _ready(stage))
                began = time.monotonic()
                while time.monotonic() - began < FETCH_SECONDS - SPARE_SECONDS:
                    assert stage.replicas(case.workload) == before
                    assert stage.servers_up() == 1
                    time.sleep(0.5)
                assert docker("images", "--quiet", slow_image) == ""
            stage.converged(FETCH_SECONDS + 60)
            assert set(before).isdisjoint(stage.replicas(case.workload))
        faults = load.faults(read_ledger(stage.ledger))
        assert not faults, f"{len(faults)} of {len(load.shots)}:\n" + "\n".join([*faults[:20], stage.story()])
        assert load.slowest < SLOWEST, "a request was held"


def test_a_rollout_that_has_to_fetch_its_image_loses_nothing(slow_image: str) -> None:
    with harsh_stage(replicas=2, strategy=SURGE, **HOLD) as stage, stage.controller():
        stage.converged()
        before = stage.replicas()
        with Load(stage.port, RATE) as load:
            stage.write(env={"WHOAMI_IMAGE": slow_image})
            stage.converged(FETCH_SECONDS + 60)
        assert set(before).isdisjoint(stage.replicas())
        faults = load.faults(read_ledger(stage.ledger))
        assert not faults, f"{len(faults)} of {len(load.shots)}:\n" + "\n".join([*faults[:20], stage.story()])


def test_what_dies_while_an_image_is_fetched_comes_back(slow_image: str) -> None:
    with harsh_stage(plugin="kiosk", replicas=2, strategy=SURGE) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        with stage.controller():
            stage.converged()
            stage.write(env={"VAULT_STORE_IMAGE": slow_image})
            until("it is being fetched", lambda: f"image {slow_image} is being pulled" in _ready(stage))
            victim = stage.replicas()[0]
            docker("kill", "--signal=KILL", victim)
            until("another serves", lambda: victim not in stage.replicas() and stage.servers_up() == 2)
            assert docker("images", "--quiet", slow_image) == ""
            stage.converged(FETCH_SECONDS + 60)


def _ready(stage: Stage) -> str:
    conditions = stage.application.objects.status(stage.name).conditions
    return next((c.message for c in conditions if c.type == "Ready"), "")
