"""What `vaultctl swarm` needs of a Swarm besides services: the controller there, the lease, and the kept objects."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.swarm.controller import ControllerService
from reconciler.engines.swarm.deleting import delete_projects
from reconciler.engines.swarm.kept import SwarmKept
from reconciler.engines.swarm.lease import SwarmLease
from reconciler.sealed.box import new_identity
from reconciler.wiring.engines import SWARM

if TYPE_CHECKING:
    from reconciler.engines.lease import Lease
    from reconciler.wiring.application import Application

__all__ = ["controller_service", "delete_services", "kept_objects", "lease"]

LOOK_SECONDS: Final = 0.2
"""Between two looks whether this process holds the lease."""


def controller_service(application: Application) -> ControllerService:
    """The controller as a service of the Swarm of this engine."""
    return ControllerService(DockerApi(application.options.docker_host), new_identity)


def lease(application: Application) -> Lease | None:
    """The lease of this Swarm. Raises EngineError."""
    return SwarmLease(DockerApi(application.options.docker_host)).read()


def kept_objects(application: Application) -> frozenset[str]:
    """The labels of the objects that are kept in this Swarm. Raises EngineError."""
    return SwarmKept(DockerApi(application.options.docker_host)).labels()


def delete_services(application: Application, deadline: float) -> Iterator[str]:
    """Delete all that the Swarm has of services, and the kept objects; yields what is deleted. Waits for the lease until
    `deadline` of the monotonic clock. Raises VaultError.
    """
    application.choose_engine(SWARM)
    election = application.election
    assert election is not None, "for a Swarm there is one"
    stop = threading.Event()
    taking_part = threading.Thread(target=election.run, args=(stop,), name="election", daemon=True)
    taking_part.start()
    try:
        while not election.acts and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        election.require()
        yield from delete_projects(
            application.engine, DockerApi(application.options.docker_host, allow=election.require)
        )
    finally:
        stop.set()
        taking_part.join()
        election.give_back()
