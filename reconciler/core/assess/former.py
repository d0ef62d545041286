"""Containers of an adopted Compose project among those of the stack.

A database of the adopted project goes on working until the controller was told to take it over. To a plan it is an instance
of its workload: a current one that is left alone, or an outdated one that ends before a new one is created. So what holds
for every dependency holds here: there are never two of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reconciler.core.assess.observation import ENDED, Container, State
from reconciler.core.desired.stack import Role, Stack


def with_former(stack: Stack, own: Sequence[Container], found: Iterable[Container]) -> tuple[Container, ...]:
    """The stack's `own` containers, and those of its former ones, of which all that exist were `found`, that count."""
    if not stack.former:
        return tuple(own)
    known, taken_over = {each.id: each for each in found}, {each.workload for each in own}
    workloads = {workload.name: workload for workload in stack.of(Role.DEPENDENCY, Role.JOB)}
    counted = []
    for former in stack.former:
        container, workload = known.get(former.container), workloads.get(former.workload)
        if container is None or workload is None:
            continue
        is_current = (
            workload.accepts(former.revision)
            and workload.name not in taken_over
            # Without one of its networks it would count as a broken container of our own, of which Compose makes another.
            and (container.state is not State.RUNNING or workload.networks <= container.addresses.keys())
        )
        runs_beside = workload.role is Role.DEPENDENCY and container.state not in ENDED
        if is_current or runs_beside:
            counted.append(
                replace(
                    container,
                    workload=workload.name,
                    role=workload.role,
                    revision=former.revision if is_current else "",
                )
            )
    return (*own, *counted)
