"""The mix of histories: most are of one service with a front door of its own, the others of gateways."""

from __future__ import annotations

from typing import Final

from tests.simulation.gateways import GatewaySimulation
from tests.simulation.simulation import Figures, Simulation, run

EVERY: Final = 32
"""One of so many histories has gateways: it takes ten times as long as another one."""


def simulation_of(seed: int) -> Simulation:
    """The world of a seed."""
    return GatewaySimulation(seed) if seed % EVERY == 0 else Simulation(seed)


def live_through(seed: int) -> Figures:
    """One history. Raises Violation with its story."""
    return run(simulation_of(seed), seed)
