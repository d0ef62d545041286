"""The images of services beside what their registries have: which one is behind, and of which the tag has moved.

It changes nothing, and asks each registry once for each image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.api.errors import VaultError
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Role
from reconciler.core.images.reference import Reference, read_reference
from reconciler.core.images.standing import Standing, State, standing

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.core.desired.stack import Stack, Workload
    from reconciler.engines.base import Engine
    from reconciler.registry.base import Registries
    from reconciler.store.base import StoredObject

__all__ = ["ImageLine", "Images", "image_document", "images"]

NO_REGISTRY = "has no registry: it was built on this machine"
NO_NAME = "is no name that a registry could be asked for"


class Images(Protocol):
    """Services, where they run, and where their images come from."""

    @property
    def engine(self) -> Engine:
        """Where they run."""

    @property
    def registries(self) -> Registries:
        """Where their images come from."""

    def build(self, service: VaultService, base: Any = ...) -> Stack:
        """The stack of a service. Raises VaultError."""


@dataclass(frozen=True)
class ImageLine:
    """The image of one workload: `running` of its `wanted` containers have the definition that names it; None if the engine
    was not seen.
    """

    service: str
    workload: str
    image: str
    running: int | None
    wanted: int
    standing: Standing


def images(
    application: Images, services: Sequence[StoredObject[Any]], warn: Callable[[str], None]
) -> list[ImageLine]:
    """The images of these services; `warn` is told of services and engines that cannot be looked at."""
    ask = cache(_Asking(application.registries).ask)
    return [line for stored in services for line in _of(application, stored, ask, warn)]


@dataclass(frozen=True)
class _Asking:
    registries: Registries

    def ask(self, image: Reference) -> tuple[tuple[str, ...], str] | VaultError:
        """The tags and the present digest, or why they are not known."""
        try:
            # Without a tag, a digest says all, and stays.
            digest = (
                image.digest
                if image.digest and not image.tag
                else self.registries.digest(image.at(image.tag))
            )
            return self.registries.tags(image), digest
        except VaultError as error:
            return error


def _of(
    application: Images,
    stored: StoredObject[Any],
    ask: Callable[[Reference], tuple[tuple[str, ...], str] | VaultError],
    warn: Callable[[str], None],
) -> Iterator[ImageLine]:
    try:
        stack = application.build(stored.resource, stored.origin.manifest.parent)
    except VaultError as error:
        warn(f"{stored.name}: {error}")
        return
    observed: EngineObservation | None = None
    try:
        observed = application.engine.observe(stack)
    except VaultError as error:
        warn(f"{stored.name}: {error}")
    for workload in stack.workloads:
        # It only holds the ports, and has the image of the proxy.
        if workload.role is Role.GATEWAY:
            continue
        running = _running(workload, observed) if observed else None
        found = _standing(workload, observed, ask)
        yield ImageLine(stored.name, workload.name, workload.image, running, workload.replicas, found)


def _running(workload: Workload, observed: EngineObservation) -> int:
    return sum(
        c.is_ready and workload.accepts(c.revision) for c in observed.by_workload.get(workload.name, ())
    )


def _standing(
    workload: Workload,
    observed: EngineObservation | None,
    ask: Callable[[Reference], tuple[tuple[str, ...], str] | VaultError],
) -> Standing:
    reference = read_reference(workload.image)
    if reference is None:
        return Standing(State.LOCAL, message=NO_NAME)
    local = observed.digests.get(workload.image, frozenset()) if observed else frozenset()
    if observed and workload.image in observed.images and not local:
        return Standing(State.LOCAL, message=NO_REGISTRY)
    answer = ask(reference)
    if isinstance(answer, VaultError):
        return Standing(State.UNKNOWN, message=str(answer))
    tags, digest = answer
    return standing(reference, tags, digest, local)


def image_document(line: ImageLine) -> dict[str, Any]:
    """The same for programs."""
    found = line.standing
    return {
        "service": line.service,
        "workload": line.workload,
        "image": line.image,
        "running": line.running,
        "replicas": line.wanted,
        "state": found.state.value,
        "newest": found.newest or None,
        "digest": found.digest or None,
        "message": found.message,
    }
