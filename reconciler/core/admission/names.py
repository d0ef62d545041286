"""Names of containers, which all stacks of an engine share: `vault-<service>-<workload>-<number>`.

Workload `b-web` of service `a` and workload `web` of service `a-b` have the same name, and the second one would fail to
start. Names of networks and volumes have a `_` after the service, which service names cannot contain, so they never
collide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator


def owners(service: str, workload: str) -> Iterator[str]:
    """The other services that may have a container of the same name as this workload."""
    parts = workload.split("-")
    for count in range(1, len(parts)):
        yield "-".join([service, *parts[:count]])


def squatted(
    service: str, workloads: Iterable[str], was_first: Callable[[str], bool]
) -> Iterator[tuple[str, str]]:
    """Each workload whose container names an older service already uses, and that service."""
    for workload in workloads:
        for other in owners(service, workload):
            if was_first(other):
                yield workload, other
