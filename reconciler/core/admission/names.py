"""Names of containers, which all stacks of an engine share: `vault-<service>-<workload>-<number>`.

Workload `b-web` of service `a` and workload `web` of service `a-b` have the same, and the second one to start would fail.
Networks and volumes have a `_` after the service, which no name of a service holds, so theirs never meet.
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
    """Each workload whose containers would take the names of a service that was there first, and that service."""
    for workload in workloads:
        for other in owners(service, workload):
            if was_first(other):
                yield workload, other
