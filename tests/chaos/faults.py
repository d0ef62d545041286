"""All faults, in the order of the page; and those that every CI run tries, each for a shorter time."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.chaos.containers import CONTAINER_FAULTS
from tests.chaos.engine import ENGINE_FAULTS
from tests.chaos.fault import Fault
from tests.chaos.surroundings import SURROUNDING_FAULTS

FAULTS: Final = (*CONTAINER_FAULTS, *SURROUNDING_FAULTS, *ENGINE_FAULTS)

SHORT_SECONDS: Final = 3.0
# None of these needs root or a certain file system, and none leaves a client to wait for an answer that never comes.
SHORT_NAMES: Final = frozenset(
    {
        "several controllers at once",
        "the engine's API hangs",
    }
)
SHORT: Final[tuple[Fault, ...]] = tuple(
    replace(fault, lasts=SHORT_SECONDS) for fault in FAULTS if fault.name in SHORT_NAMES
)
