"""What a drained node still has, and when it may be left to the engine.

Plans move what can move (`is_moving`); this looks at a whole node, over all objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.core.assess.instance import MOVABLE
from reconciler.core.desired.stack import Role

__all__ = ["Placed", "Remaining", "remaining"]


@dataclass(frozen=True, slots=True)
class Placed:
    """One instance on a node. `label` is that of its object; `pinned`: it can run on no other; `is_up`: it has a
    process; `is_ready`: that is healthy. `lacks_image`: it could not be started there, because its image could not be had.
    """

    name: str
    label: str
    role: Role
    node: str
    pinned: bool = False
    is_up: bool = True
    is_ready: bool = False
    lacks_image: bool = False


@dataclass(frozen=True, slots=True)
class Remaining:
    """The instances that a node still has, by name.

    `moving` are replaced by others elsewhere, `pinned` can run nowhere else, `jobs` are left to end. Gateways and proxies
    are none of these: they serve the node's own ports.
    """

    moving: tuple[Placed, ...] = ()
    pinned: tuple[Placed, ...] = ()
    jobs: tuple[Placed, ...] = ()

    def is_free(self, *, stops_pinned: bool) -> bool:
        """Whether the engine may end what is left."""
        return not self.moving and not self.jobs and (stops_pinned or not self.pinned)


def remaining(node: str, placed: Iterable[Placed]) -> Remaining:
    """What the node of this name still has."""
    here = sorted((each for each in placed if each.node == node and each.is_up), key=lambda each: each.name)
    return Remaining(
        moving=tuple(each for each in here if each.role in MOVABLE and not each.pinned),
        pinned=tuple(each for each in here if each.role in MOVABLE and each.pinned),
        jobs=tuple(each for each in here if each.role is Role.JOB),
    )
