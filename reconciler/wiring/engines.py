"""The engines that services can run on, by the names of `--engine`: a new one is a package in `engines` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from reconciler.store.engine_choice import COMPOSE

if TYPE_CHECKING:
    from reconciler.engines.base import FullEngine
    from reconciler.wiring.parts import Parts

__all__ = ["ENGINES", "SWARM"]

SWARM: Final = "swarm"


def _compose(parts: Parts) -> FullEngine:
    from reconciler.engines.compose.engine import ComposeEngine

    return ComposeEngine(parts.options.docker_host)


def _swarm(parts: Parts) -> FullEngine:
    from reconciler.engines.swarm.engine import SwarmEngine
    from reconciler.wiring.parts import utc_now

    assert parts.election is not None, "for a Swarm there is one"
    return SwarmEngine(parts.options.docker_host, parts.election.require, utc_now)


ENGINES: Final[Mapping[str, Callable[[Parts], FullEngine]]] = {COMPOSE: _compose, SWARM: _swarm}
"""What makes each engine."""
