"""The mix of histories: most are of one service with a front door of its own, others of gateways, or of a cut Swarm."""

from __future__ import annotations

from typing import Final

from tests.simulation.gateways import GatewaySimulation
from tests.simulation.quorum import Quorum
from tests.simulation.simulation import Figures, Simulation, again, run

EVERY: Final = 32
"""One of so many histories has gateways, and two are of a Swarm: each takes ten times as long as another one."""
QUORUM: Final = 8


def simulation_of(seed: int) -> Simulation:
    """The world of a seed."""
    if seed % EVERY == 0:
        return GatewaySimulation(seed)
    return Quorum(seed) if seed % (EVERY // 2) == QUORUM else Simulation(seed)


def live_through(seed: int) -> Figures:
    """One history. Raises Violation with its story."""
    return run(simulation_of(seed), again(seed))
