"""The containers of a service whose logs a verb shows: of the engine of this machine, or of a controller elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.app.logs import Logs
    from reconciler.cli.session import Session
    from reconciler.core.assess.observation import Container
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

__all__ = ["followed"]


def followed(
    session: Session, application: Application, stored: StoredObject[Any], workload: str | None
) -> tuple[Logs, Callable[[], list[Container]]]:
    """What has the logs of a service, and what looks for its containers: of a workload, or the web replicas without one.
    Raises VaultError, and so does the look.
    """
    from reconciler.app.logs import containers_of, workloads_of

    if (remote := session.remote) is not None:
        pods = remote.pods
        return pods, lambda: pods.of(stored.ref, workload)
    stack = application.build(stored.resource, stored.origin.manifest.parent)
    wanted = workloads_of(stack, workload)
    return application.engine, lambda: containers_of(stack, wanted, application.engine)
