"""Faults, and the guarantees during them.

A fault is a generator that prepares the scene, yields, causes the fault under load, and ends. Its `with` statements around
the first `yield` are left after the outcome was checked.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.traffic import HealthCheck
from reconciler.proxy.haproxy.config import TIMEOUTS
from reconciler.proxy.haproxy.values import FALL, FAST_CHECK
from tests.e2e.load import Load, Shot, read_ledger
from tests.e2e.proof import NEW_VERSION
from tests.e2e.stage import Stage

if TYPE_CHECKING:
    from tests.chaos.private_engine import PrivateEngine

NOTICED_SECONDS: Final = 1.0
"""Seconds within which HAProxy detects a dead server, after three failed connections."""
INTERVAL: Final = HealthCheck().interval
GONE_SECONDS: Final = INTERVAL + FALL * min(TIMEOUTS["connect"], INTERVAL) + (FALL - 1) * FAST_CHECK
"""Seconds within which HAProxy's checks find out that an address answers nothing: the pause before the first one, and the
time that each waits for a connection. With requests that wait for one as well it is sooner.
"""
RULES_SECONDS: Final = 1.0
"""Longer than dockerd takes at its start from removing its firewall rules to writing those of our port."""


class Promise(StrEnum):
    """Which requests may fail; the texts are those of docs/reliability.md."""

    NONE = "none"
    IN_FLIGHT = "those in flight on it"
    GONE = "those on it, and those that arrive until health checks have found out"
    MOVED = "those on connections through it when the address moves"
    RULES = "new connections, for less than a second"
    AWAY = "those that arrive until it is restored"


@dataclass
class Scene:
    """One service under load and its controller. `lasts` is the duration of a fault in seconds."""

    stage: Stage
    lasts: float
    engine: PrivateEngine | None = None
    controllers: list[subprocess.Popen[str]] = field(default_factory=list)
    changed: bool = False

    def __post_init__(self) -> None:
        self._open = ExitStack()

    def start_controller(self) -> subprocess.Popen[str]:
        """Start a controller, the first or another one."""
        self.controllers.append(self._open.enter_context(self.stage.controller()))
        return self.controllers[-1]

    @property
    def controller(self) -> subprocess.Popen[str]:
        """The controller that was started last."""
        return self.controllers[-1]

    def change(self) -> None:
        """Apply another release, so that there is work to do during the fault."""
        self.stage.write(**NEW_VERSION)
        self.changed = True

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """In the block, the controller is stopped, and goes on afterwards."""
        self.controller.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.controller.send_signal(signal.SIGCONT)

    def endure(self) -> None:
        """Wait for the duration of the fault."""
        time.sleep(self.lasts)

    def close(self) -> None:
        """Stop the controllers; those that still run have to exit by themselves."""
        self._open.close()


Story = Callable[[Scene], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """Something that can happen. `spec` is what the service's spec says besides; `daemon`, if not None, are the options of
    an engine of its own, because the fault harms the engine; `gateway`, if not None, is the spec of a gateway that the
    service is behind.
    """

    name: str
    promise: Promise
    story: Story
    spec: dict[str, Any] = field(default_factory=dict)
    lasts: float = 0.0
    daemon: tuple[str, ...] | None = None
    gateway: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.name


def judge(promise: Promise, load: Load, stage: Stage, noticed: float, healed: float) -> tuple[str, ...]:
    """What the promise does not cover. Times are monotonic seconds: the harm was done, everything was well again.

    That no request is run twice is always promised.
    """
    lost = load.lost
    match promise:
        case Promise.NONE:
            excused = set()
        case Promise.IN_FLIGHT | Promise.MOVED:
            excused = {str(shot) for shot in lost if shot.began <= noticed + NOTICED_SECONDS}
        case Promise.GONE:
            excused = {str(shot) for shot in lost if shot.began <= noticed + GONE_SECONDS}
        case Promise.RULES:
            refused = [shot for shot in lost if shot.lost.startswith(ConnectionRefusedError.__name__)]
            first = min((shot.began for shot in refused), default=0.0)
            excused = {str(shot) for shot in refused if shot.began <= first + RULES_SECONDS}
        case Promise.AWAY:
            excused = {str(shot) for shot in lost if shot.began <= healed}
    return tuple(
        f"{fault}{_when(fault, lost, noticed)}"
        for fault in load.faults(read_ledger(stage.ledger))
        if fault not in excused
    )


def _when(fault: str, lost: list[Shot], noticed: float) -> str:
    return next(
        (f", begun {shot.began - noticed:+.2f} s from the harm" for shot in lost if str(shot) == fault), ""
    )
