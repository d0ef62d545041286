"""Where a controller can be killed: right before and right after each kind of operation that a plan can have.

The kinds are those of the code, so that a new one is a crash point before anybody thinks of it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.core.names import CONTROL_NET, GATEWAY
from reconciler.core.plan import operations
from tests.e2e.docker_cli import containers, docker
from tests.e2e.leftovers import left_overs
from tests.e2e.load import ANSWER_SECONDS, Load, read_ledger
from tests.e2e.mortal import When
from tests.e2e.outcome import Outcome
from tests.e2e.proof import LONG_HOLD, harsh_stage
from tests.e2e.registry import registry
from tests.e2e.stage import Stage
from tests.e2e.waiting import PATIENCE

PLUGINS: Final = Path(__file__).parent / "plugins"
REPLICAS: Final = 2
BOOT_SECONDS: Final = "0.2"
"""Short: a new replica is told apart from an old one by who answers, not by how long it takes."""

CUT_SECONDS: Final = 20.0
"""How long a client waits where connections lose their other side: what has no answer by then will never have one."""

WEB_IMAGE: Final = "vault-reconciler/whoami:latest"
PROXY_IMAGE: Final = "haproxy:3.0"


@dataclass(frozen=True)
class CrashPoint:
    """One side of one kind of operation."""

    when: When
    kind: str

    def __str__(self) -> str:
        return f"{self.when} {self.kind}"


def _kinds() -> Iterator[str]:
    kinds = [
        each
        for each in vars(operations).values()
        if isinstance(each, type) and issubclass(each, operations.Operation)
    ]
    bases = {base for each in kinds for base in each.__bases__}
    yield from (each.__name__ for each in kinds if each not in bases)


KINDS: Final = tuple(_kinds())
COSTLY: Final = frozenset({"ConnectNetwork"})
"""What costs requests by itself: the engine moves the published port to the network whose name comes first."""

POINTS: Final = tuple(
    CrashPoint(when, kind) for kind in sorted(KINDS, key=COSTLY.__contains__) for when in When
)
"""Those last that leave connections behind whose other side is gone: whoever comes next would wait for them to end."""


OF_FRONT: Final = frozenset({"ConnectNetwork", "CreateProxy", "ReloadProxy"})
"""Operations on a HAProxy of a service's own; those of a gateway are in test_gateway_crash_points.py."""


@dataclass
class CrashStage:
    """A web service with its database, and a registry that has its image."""

    stage: Stage
    image: str

    @property
    def second_proxy(self) -> str:
        """Another name of HAProxy's image, without a tag; other stages beside this one have others."""
        return f"{PROXY_IMAGE.partition(':')[0]}-{self.stage.name}"

    def change(self, point: CrashPoint) -> None:
        """Change something so that an operation of this kind is needed."""
        CHANGES.get(point.kind, _new_release)(self, f"{point.when}-{point.kind.lower()}")

    def survive(self, point: CrashPoint) -> Outcome:
        """Kill a controller there, under load, and let another one go on. Fails if the point is not reached, or if the
        second controller does not come to an end.
        """
        stage, costly = self.stage, point.kind in COSTLY
        if costly:
            self.change(point)
        with Load(stage.port, patience=CUT_SECONDS if costly else ANSWER_SECONDS) as load:
            mortal = (sys.executable, "-m", "tests.e2e.mortal", point.when, point.kind)
            with stage.controller(mortal) as controller:
                if not costly:
                    self.change(point)
                with suppress(subprocess.TimeoutExpired):
                    controller.wait(PATIENCE)
                assert controller.poll() == -signal.SIGKILL, f"not killed {point}\n{stage.story()}"
            began = time.monotonic()
            with stage.controller():
                stage.converged()
                seconds = time.monotonic() - began
        excused = {str(shot) for shot in load.lost} if costly else set()
        broken = [fault for fault in load.faults(read_ledger(stage.ledger)) if fault not in excused]
        return Outcome(
            str(point), seconds, len(load.shots), len(load.lost), tuple(broken), tuple(left_overs(stage))
        )


def _new_release(here: CrashStage, tag: str) -> None:
    here.stage.write(env={"VERSION": tag})


def _new_image(here: CrashStage, tag: str) -> None:
    here.stage.write(env={"WHOAMI_IMAGE": f"{here.image}:{tag}"})


def _new_database(here: CrashStage, tag: str) -> None:
    here.stage.write(env={"VAULT_DB_TUNING": tag})


def _new_proxy(here: CrashStage, tag: str) -> None:
    docker("tag", PROXY_IMAGE, f"{here.second_proxy}:{tag}")
    here.stage.write(proxy={"image": f"{here.second_proxy}:{tag}"})


def _new_structure(here: CrashStage, tag: str) -> None:
    here.stage.write(healthcheck={"path": f"/?{tag}"})


def _hand(here: CrashStage, _: str) -> None:
    (gateway,) = containers(here.stage.project, GATEWAY)
    # The network that no request needs: HAProxy reaches the replicas by the other one.
    docker("network", "disconnect", f"{here.stage.project}_{CONTROL_NET}", gateway)


def _other_weight(here: CrashStage, tag: str) -> None:
    preview = here.stage.preview()
    server = next(replica.name for replica in preview.replicas if replica.in_pool)
    here.stage.application.proxy.set_weights(preview.stack, preview.assessment.slots, [(server, 3)])
    # HAProxy tells no weights: the pass that finds it is one for the spec.
    here.stage.write(strategy={"progressDeadlineSeconds": 120 + len(tag)})


CHANGES: Final[Mapping[str, Callable[[CrashStage, str], None]]] = {
    "PullImage": _new_image,
    "CreateProxy": _new_proxy,
    "RecreateContainer": _new_database,
    "ConnectNetwork": _hand,
    "ReloadProxy": _new_structure,
    "SetWeight": _other_weight,
}
"""What leads to an operation, made new by a tag; a new release leads to all that are not here."""


@contextmanager
def crash_stage(env: Mapping[str, str] | None = None, *, routed: bool = False) -> Iterator[CrashStage]:
    """The stage for any number of crash points, one after the other; `env` is what `vaultctl` gets. `routed`: behind a
    gateway.
    """
    with (
        tempfile.TemporaryDirectory(prefix="vr-registry-") as layers,
        registry(WEB_IMAGE, Path(layers)) as image,
    ):
        images = [image]
        try:
            with harsh_stage(routed=routed, plugin="library", replicas=REPLICAS, **LONG_HOLD) as stage:
                here = CrashStage(stage, image)
                images.append(here.second_proxy)
                stage.env.update({"VAULT_PLUGIN_PATH": str(PLUGINS), **(env or {})})
                stage.write(env={"BOOT_SECONDS": BOOT_SECONDS})
                with stage.controller():
                    stage.converged()
                yield here
        finally:
            tags = docker("images", "--format={{.Repository}}:{{.Tag}}").split()
            if ours := [tag for tag in tags if tag.startswith(tuple(images))]:
                docker("rmi", *ours, check=False)
