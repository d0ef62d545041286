"""How many containers a workload has in each state, counted once for status, metrics and differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import Instance, Phase
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
    live = [replica for replica in replicas if replica.live]
    usable = [replica for replica in live if (replica.current or replica.asked) and replica.useful]
    return Counts(
        desired=desired,
        current=len(live),
        updated=sum(r.current for r in live),
        ready=sum(r.phase is Phase.READY for r in live),
        serving=sum(r.serving for r in live),
        outdated=sum(not r.current and not r.asked for r in live),
        asked=sum(r.asked for r in usable),
        usable=len(usable),
    )


def count_instances(workload: Workload, instances: Sequence[Instance]) -> Counts:
    """Counts of what no pool serves: it is ready when it runs. A completed job is not wanted again."""
    updated = sum(instance.current for instance in instances)
    ready = sum(instance.phase in (Phase.READY, Phase.COMPLETE) for instance in instances)
    return Counts(
        desired=0 if workload.done else workload.replicas,
        current=len(instances),
        updated=updated,
        ready=ready,
        serving=ready,
        outdated=len(instances) - updated,
        asked=0,
        usable=updated,
    )
