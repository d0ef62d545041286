"""Chooses the container in which a command of the user runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.api.errors import VaultError
from reconciler.app.logs import containers_of, workloads_of
from reconciler.core.assess.observation import Health, State

if TYPE_CHECKING:
    from reconciler.core.assess.observation import Container
    from reconciler.core.desired.stack import Stack
    from reconciler.engines.base import Engine

__all__ = ["choose"]


def choose(stack: Stack, engine: Engine, wanted: str | None) -> Container:
    """A running container of the workload `wanted`, or the one of that name; without it, a web replica.

    A healthy one of the present revision is preferred, then the first by name. Raises VaultError if none runs.
    """
    everything = engine.observe(stack).containers
    if named := [each for each in everything if each.name == wanted]:
        candidates, what = named, f"{wanted} does not run"
    else:
        candidates = containers_of(stack, workloads_of(stack, wanted), engine)
        what = f"{stack.name} has no running container of {wanted or 'its web workload'}"
    running = [each for each in candidates if each.state is State.RUNNING]
    if not running:
        raise VaultError(f"{what}; `vaultctl describe {stack.name}` says more")
    accepts = {workload.name: workload.accepts for workload in stack.workloads}

    def rank(each: Container) -> tuple[bool, bool, bool, str]:
        accepted = accepts.get(each.workload)
        is_present = accepted is not None and accepted(each.revision)
        return (each.stopping, not is_present, each.health not in (Health.HEALTHY, Health.NONE), each.name)

    return min(running, key=rank)
