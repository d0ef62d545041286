"""Faults of the engine: dockerd is restarted or killed, with the recommended options and with its defaults."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.chaos.fault import Fault, Promise, Scene

AWAY_SECONDS: Final = 3.0
CAREFUL: Final = ("--live-restore", "--userland-proxy=false")
"""The options that docs/deployment.md recommends."""
DEFAULTS: Final[tuple[str, ...]] = ()
ON_HOST: Final = {"network": "host", "drainSeconds": 5}
"""A gateway that needs no firewall rule of dockerd."""
OWN_ON_HOST: Final = {"proxy": {"network": "host", "holdSeconds": 10}}
"""The same for a service whose HAProxy is its own."""


def _dockerd_goes_and_comes(signum: signal.Signals, scene: Scene) -> Iterator[None]:
    assert scene.engine is not None
    yield
    scene.engine.end(signum)
    scene.endure()
    scene.engine.start()


RESTARTED: Final = partial(_dockerd_goes_and_comes, signal.SIGTERM)
KILLED: Final = partial(_dockerd_goes_and_comes, signal.SIGKILL)

ENGINE_FAULTS: Final = (
    Fault("restart of dockerd, with live-restore", Promise.RULES, RESTARTED, {}, AWAY_SECONDS, CAREFUL),
    Fault("`kill -9` of dockerd, with live-restore", Promise.RULES, KILLED, {}, AWAY_SECONDS, CAREFUL),
    Fault(
        "restart of dockerd, with a gateway on the host's network",
        Promise.NONE,
        RESTARTED,
        {},
        AWAY_SECONDS,
        CAREFUL,
        ON_HOST,
    ),
    Fault(
        "`kill -9` of dockerd, with a gateway on the host's network",
        Promise.NONE,
        KILLED,
        {},
        AWAY_SECONDS,
        CAREFUL,
        ON_HOST,
    ),
    Fault(
        "restart of dockerd, with its own HAProxy on the host's network",
        Promise.NONE,
        RESTARTED,
        OWN_ON_HOST,
        AWAY_SECONDS,
        CAREFUL,
    ),
    Fault(
        "`kill -9` of dockerd, with its own HAProxy on the host's network",
        Promise.NONE,
        KILLED,
        OWN_ON_HOST,
        AWAY_SECONDS,
        CAREFUL,
    ),
    Fault("restart of dockerd, with its defaults", Promise.AWAY, RESTARTED, {}, AWAY_SECONDS, DEFAULTS),
    Fault("`kill -9` of dockerd, with its defaults", Promise.AWAY, KILLED, {}, AWAY_SECONDS, DEFAULTS),
)
