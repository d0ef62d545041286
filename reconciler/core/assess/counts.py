"""How many containers a workload has in each state, counted once for status, metrics and differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import WELL, Instance, Phase
from reconciler.core.desired.stack import Workload


@dataclass(frozen=True, slots=True)
class Counts:
    """Containers of one workload, or of the whole pool.

    `current`: those there are, of any revision; `updated`: of the current one; `serving`: for what no pool serves, the same
    as `ready`. `outdated`: of another revision; `asked`: of the current one, for which fresh ones were asked for; `usable`:
    of the current one, asked or not, so that none has to be created in their place.
    """

    desired: int
    current: int
    updated: int
    ready: int
    serving: int
    outdated: int
    asked: int
    usable: int


def count_replicas(desired: int, replicas: Sequence[Replica]) -> Counts:
    """Counts of web replicas; a dead one is none."""
    current = updated = ready = serving = outdated = asked = usable = 0
    # One loop instead of a sum for each number, because each pass counts all replicas.
    for replica in replicas:
        if not replica.live:
            continue
        current += 1
        updated += replica.current
        ready += replica.phase is Phase.READY
        serving += replica.serving
        if not replica.current and not replica.asked:
            outdated += 1
        elif replica.useful:
            usable += 1
            asked += replica.asked
    return Counts(desired, current, updated, ready, serving, outdated, asked, usable)


def count_instances(workload: Workload, instances: Sequence[Instance]) -> Counts:
    """Counts of what no pool serves: it is ready when it runs. A completed job is not wanted again."""
    updated = sum(instance.current for instance in instances)
    asked = sum(i.is_moving and workload.accepts(i.container.revision) for i in instances)
    ready = sum(instance.phase in WELL for instance in instances)
    return Counts(
        desired=0 if workload.done else workload.replicas,
        current=len(instances),
        updated=updated,
        ready=ready,
        serving=ready,
        outdated=len(instances) - updated - asked,
        asked=asked,
        usable=updated + asked,
    )
