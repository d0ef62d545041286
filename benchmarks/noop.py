"""What a pass costs that has nothing to do, beside the least that anybody could do and beside `docker compose up -d`.

    .venv/bin/python benchmarks/noop.py [REPLICAS]

One service with 50 replicas. Each round times all candidates in turn, so that whatever else this machine does falls on
all of them alike; printed are the medians and their ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import docker as docker_sdk

from reconciler.api import load
from reconciler.controller.reconcile import reconcile
from reconciler.store.base import Origin
from reconciler.wiring import Application
from tests.e2e.stage import Stage, staged

ROUNDS: Final = 15
REPLICAS: Final = 50
PLUGINS: Final = Path(__file__).parent / "plugins"
DEADLINE: Final = 600.0
SERVICE: Final = "idle"


def main(replicas: int) -> None:
    """Apply, measure, print, and remove everything."""
    with staged(plugin=SERVICE, replicas=replicas, healthcheck={"interval": "1m"}) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        application = stage.application
        _converge(application, stage)
        with _watching(application):
            _report(replicas, _measure(_candidates(application, stage)))


def _converge(application: Application, stage: Stage) -> None:
    (manifest,) = load(stage.manifest)
    application.objects.apply(
        manifest.service, Origin("apply", str(stage.manifest), stage.manifest, manifest.line)
    )
    outcome = application.controller().converge([stage.name], DEADLINE)[stage.name]
    if not outcome.ready:
        sys.exit(f"{stage.name} is not Ready: {outcome.message}")


@contextmanager
def _watching(application: Application) -> Iterator[None]:
    """Follow the engine's events, as a controller does all the time."""
    opened = threading.Event()

    def follow() -> None:
        for _ in application.engine.events():
            opened.set()

    threading.Thread(target=follow, daemon=True).start()
    if not opened.wait(DEADLINE):
        sys.exit("the engine's event stream does not open")
    yield


def _candidates(application: Application, stage: Stage) -> Mapping[str, Callable[[], object]]:
    world, cold = application.world(), stage.application.world()
    engine = docker_sdk.APIClient()
    filters = {"label": f"com.docker.compose.project={stage.project}"}
    file = stage.state / "services" / stage.name / "compose.yaml"
    up = ["docker", "compose", "--project-name", stage.project, "--file", str(file)]
    # HAProxy is left out: Compose would take what sets our containers of it apart for a change.
    up += ["up", "--detach", "--no-deps", "--quiet-pull", SERVICE]
    return {
        "GET /containers/json": lambda: engine.containers(all=True, filters=filters),
        "pass, events followed": lambda: _idle(reconcile(stage.name, world).did),
        "pass, looking for itself": lambda: _idle(reconcile(stage.name, cold).did),
        "docker compose up -d": lambda: subprocess.run(up, check=True, capture_output=True, timeout=DEADLINE),
    }


def _idle(did: str) -> None:
    if did:
        sys.exit(f"the pass was to have nothing to do, but it did:\n{did}")


def _measure(candidates: Mapping[str, Callable[[], object]]) -> Mapping[str, float]:
    """The median of each in seconds. The first round is not counted: it opens connections."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS + 1):
        for name, run in candidates.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def _report(replicas: int, medians: Mapping[str, float]) -> None:
    bare, ours = medians["GET /containers/json"], medians["pass, events followed"]
    print(f"nothing to do, {replicas} replicas, median of {ROUNDS} alternating rounds")
    print(f"{'':26} {'ms':>8} {'of a bare call':>15} {'of our pass':>12}")
    for name, median in medians.items():
        print(f"{name:26} {median * 1000:8.1f} {median / bare:14.1f}x {median / ours:11.1f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REPLICAS)
