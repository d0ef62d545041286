"""The cost of a pass with nothing to do, compared with a single call of the engine and with `docker compose up -d`.

    .venv/bin/python benchmarks/noop.py [REPLICAS...]

One service with idle replicas. Each round times all candidates in turn. A proxy counts the requests to the engine.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import PLUGINS
from benchmarks.harness.lab import Lab
from benchmarks.harness.rounds import alternate, command
from benchmarks.harness.row import BARE, SECONDS, Goal, Row, spread
from reconciler.api import load
from reconciler.app.applying import apply
from reconciler.cli.garbage import collect_as_usual
from reconciler.controller.reconcile.service import reconcile
from reconciler.store.base import Origin
from reconciler.wiring import Application, Options, utc_now, wire
from tests.e2e.relay import Relay
from tests.e2e.stage import Stage, staged

ROUNDS: Final = 11
REPLICAS: Final = (10, 50, 200)
COUNTED_PASSES: Final = 20
SETTLE_SECONDS: Final = 3.0
"""The files of HAProxy are read again in each pass until their last change is 2 s ago."""
DEADLINE: Final = 600.0
SERVICE: Final = "idle"

BARE_CALL: Final = "one `/containers/json` call"
UP: Final = "`docker compose up -d`"
FRESH: Final = "events followed"
COLD: Final = "looking for itself"


def rows(lab: Lab, replicas: Sequence[int] = REPLICAS) -> Iterator[Row]:
    """For each number of replicas: the pass of a controller, the first pass of a command, and the calls made."""
    for count in replicas:
        yield from _rows(lab, count)


def _rows(lab: Lab, replicas: int) -> Iterator[Row]:
    with staged(plugin=SERVICE, replicas=replicas, healthcheck={"interval": "1m"}) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        application = stage.application
        converge(application, stage)
        with watching(application):
            time.sleep(SETTLE_SECONDS)
            # As a controller does when it has started.
            collect_as_usual()
            seconds = alternate(_candidates(lab, application, stage), ROUNDS)
        requests = _requests(stage)
    bare = seconds[BARE_CALL]
    limit = f"{BARE_CALL}: {spread(bare, SECONDS)}"
    what = f"a pass with nothing to do, {replicas} replicas"
    fresh, cold, up = seconds[FRESH], seconds[COLD], seconds[UP]
    yield Row(what, SECONDS, fresh, limit, UP, up, Goal(ratio_at_most=1 / 20))
    yield Row(what, SECONDS, fresh, limit, BARE_CALL, bare, Goal(ratio_at_most=1.5))
    yield Row(f"{what}, the first one", SECONDS, cold, limit, BARE_CALL, bare)
    yield Row(f"{what}: engine calls", BARE, (float(requests),), "0 calls", goal=Goal(at_most=0))


def converge(application: Application, stage: Stage) -> None:
    """Apply the manifest of a stage in this process and wait until it is Ready."""
    (manifest,) = load(stage.manifest)
    origin = Origin("apply", str(stage.manifest), stage.manifest, manifest.line)
    ref = apply(application.objects, manifest.resource, origin, utc_now()).stored.ref
    outcome = application.controller().converge([ref], DEADLINE)[ref]
    if not outcome.ready:
        sys.exit(f"{stage.name} is not Ready: {outcome.message}")


@contextmanager
def watching(application: Application) -> Iterator[None]:
    """Follow the engine's events, as a controller does all the time."""
    opened = threading.Event()

    def follow() -> None:
        for _ in application.engine.events():
            opened.set()

    threading.Thread(target=follow, daemon=True).start()
    if not opened.wait(DEADLINE):
        sys.exit("the engine's event stream does not open")
    yield


def _candidates(lab: Lab, application: Application, stage: Stage) -> Mapping[str, Callable[[], object]]:
    world, cold = application.world(), stage.application.world()
    filters = {"label": f"com.docker.compose.project={stage.project}"}
    file = stage.state / "services" / stage.name / "compose.yaml"
    up = ("docker", "compose", "--project-name", stage.project, "--file", str(file), "up", "--detach")
    return {
        BARE_CALL: lambda: lab.engine.containers(all=True, filters=filters),
        FRESH: lambda: _idle(reconcile(stage.name, world).did),
        COLD: lambda: _idle(reconcile(stage.name, cold).did),
        # Without HAProxy: Compose would treat the differences of our HAProxy containers as a change.
        UP: command(*up, "--no-deps", "--quiet-pull", SERVICE),
    }


def _requests(stage: Stage) -> int:
    """How many requests reach the engine while passes have nothing to do and events are followed."""
    relay = Relay(stage.root / "engine.sock")
    application = wire(Options(stage.state, (PLUGINS,), docker_host=relay.url, host_paths=(stage.ledger,)))
    with watching(application):
        world = application.world()
        reconcile(stage.name, world)
        before = relay.requests
        for _ in range(COUNTED_PASSES):
            _idle(reconcile(stage.name, world).did)
        counted = relay.requests - before
    relay.close()
    return counted


def _idle(did: str) -> None:
    if did:
        sys.exit(f"the pass was to have nothing to do, but it did:\n{did}")


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab, [int(each) for each in sys.argv[1:]] or REPLICAS)))
