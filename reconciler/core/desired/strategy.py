"""What is known of a strategy before anything runs: its name for a service, and whether new replicas start beside old ones.

The decisions of each strategy are in plan/strategies/; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.api.strategy import Strategy as StrategySpec
from reconciler.api.strategy import StrategyType

OVERLAPS: Final[Mapping[str, bool]] = {"RollingUpdate": True, "Recreate": False}
"""Whether a replica is started while the one that it replaces still runs."""


def type_of(spec: StrategySpec, *, single_writer: bool) -> StrategyType:
    """The strategy of a service: that of its spec, or the one that suits the data of its plugin."""
    return spec.type or ("Recreate" if single_writer else "RollingUpdate")
