"""What a proof of zero loss is made of: a workload that needs a careful hand, load that never retries, two ledgers.

The workload takes 2 s to boot and exits at once on SIGTERM, so that only the proxy can save a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tests.e2e.load import Load, read_ledger
from tests.e2e.stage import HOST, Stage, staged

LEAST_RATE: Final = 200.0
"""Requests per second that a proof is worth something with."""

REPLICAS: Final = 3
BOOT_SECONDS: Final = 2.0
HARSH: Final = {"BOOT_SECONDS": str(BOOT_SECONDS), "GRACEFUL": "0", "VERSION": "1"}
QUICK: Final = {"rollingUpdate": {"maxSurge": "100%"}, "progressDeadlineSeconds": 60}
NEW_VERSION: Final = {"env": {"VERSION": "2"}}
LONG_HOLD: Final[dict[str, Any]] = {"proxy": {"holdSeconds": 60}}
"""Longer than anything here takes, also on a machine that is busy with other things."""


@contextmanager
def harsh_stage(
    *, routed: bool = False, gateway: Mapping[str, Any] | None = None, **spec: Any
) -> Iterator[Stage]:
    """A stage with the harsh workload, and with `spec` on top; written down and not yet applied. `routed`: behind a
    gateway, whose manifest says `gateway` besides.
    """
    with staged(routed=routed, gateway=gateway, plugin="whoami", replicas=REPLICAS, strategy=QUICK) as stage:
        stage.write(env=HARSH | {"WHOAMI_LEDGER_DIR": str(stage.ledger)})
        stage.write(**spec)
        yield stage


@contextmanager
def under_load(stage: Stage, *others: str) -> Iterator[Load]:
    """Load from before the block to after it, also for `others`, hosts of a gateway; fails if anything was lost or run
    twice meanwhile.
    """
    with Load(stage.port, hosts=(HOST, *others)) as load:
        yield load
    faults = load.faults(read_ledger(stage.ledger))
    assert not faults, f"{len(faults)} of {len(load.shots)}:\n" + "\n".join([*faults[:20], stage.story()])
    assert len(load.shots) >= LEAST_RATE * load.seconds


def runs_version(stage: Stage, version: str = "2") -> bool:
    """Whether this version answers."""
    return str(json.loads(stage.get()[2])["version"]) == version
