"""What an engine can do, as far as a plan depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """The defaults are those of Docker with Compose.

    `creates_stopped`: what is created waits to be started; otherwise it runs at once, so it is created only when all that
    it needs is ready. `stops_by_instance`: a stop names the instance; otherwise the engine chooses which one ends.
    `one_node`: all instances are on the machine whose ports are published.
    """

    creates_stopped: bool = True
    stops_by_instance: bool = True
    one_node: bool = True


USUAL: Final = EngineCapabilities()
"""Those of Docker with Compose."""
