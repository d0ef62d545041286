"""The images of services beside what their registries have: which one is behind, and of which the tag has moved.

It changes nothing, and asks each registry once for each image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.api.errors import VaultError
from reconciler.controller.images.failed import failed_tags
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Role
from reconciler.core.images.choice import Choice, choose
from reconciler.core.images.reference import Reference, read_reference
from reconciler.core.images.standing import Standing, State, standing

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.api.image_policy import ImagePolicy
    from reconciler.core.desired.stack import Stack, Workload
    from reconciler.engines.base import Engine
    from reconciler.registry.base import Registries
    from reconciler.store.base import Records, StoredObject

__all__ = ["ImageLine", "Images", "image_document", "images"]

Ask = Callable[[Reference], tuple[tuple[str, ...], str] | VaultError]
"""Asks a registry: tags and the present digest, or why they are not known."""

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

    @property
    def history(self) -> Records:
        """What was tried before."""

    def sightings(self, name: str) -> Sightings:
        """When the tags of a service's image were first seen."""

    def build(self, service: VaultService, base: Any = ...) -> Stack:
        """The stack of a service. Raises VaultError."""


class Sightings(Protocol):
    """When the tags of one service's image were first seen."""

    def read(self, place: str) -> Mapping[str, datetime]:
        """The sightings of the repository `place`."""


@dataclass(frozen=True)
class ImageLine:
    """The image of one workload: `running` of its `wanted` containers have the definition that names it; None if the engine
    was not seen, and `trouble` says why. `choice` is what its policy chooses; None without one, or if that is not known.
    A service that cannot be built has one line, without a workload.
    """

    service: str
    workload: str
    image: str
    running: int | None
    wanted: int
    standing: Standing
    choice: Choice | None = None
    trouble: str = ""

    @property
    def message(self) -> str:
        """What is to be said about it."""
        told = [self.standing.message, self.choice.message if self.choice else "", self.trouble]
        if self.choice and self.choice.tag:
            told.insert(1, f"imagePolicy chooses {self.choice.tag}")
        return "; ".join(filter(None, told))


def images(
    application: Images, services: Sequence[StoredObject[Any]], now: datetime, registries: Registries
) -> list[ImageLine]:
    """The images of these services, as `registries` know them."""
    ask = cache(_Asking(registries).ask)
    return [line for stored in services for line in _of(application, stored, ask, now, registries)]


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
    ask: Ask,
    now: datetime,
    registries: Registries,
) -> Iterator[ImageLine]:
    try:
        stack = application.build(stored.resource, stored.origin.manifest.parent)
    except VaultError as error:
        yield ImageLine(stored.name, "", "", None, 0, Standing(State.UNKNOWN, message=str(error)))
        return
    observed: EngineObservation | None = None
    trouble = ""
    try:
        observed = application.engine.observe(stack)
    except VaultError as error:
        trouble = str(error)
    for workload in stack.workloads:
        # It only holds the ports, and has the image of the proxy.
        if workload.role is Role.GATEWAY:
            continue
        running = _running(workload, observed) if observed else None
        found = _standing(workload, observed, ask)
        policy = stored.resource.spec.image_policy
        choice = None
        if policy is not None and policy.workload == workload.name:
            choice = _choice(application, stored, policy, workload.image, ask, now, registries)
        yield ImageLine(
            stored.name, workload.name, workload.image, running, workload.replicas, found, choice, trouble
        )


def _choice(
    application: Images,
    stored: StoredObject[Any],
    policy: ImagePolicy,
    image: str,
    ask: Ask,
    now: datetime,
    registries: Registries,
) -> Choice | None:
    reference = read_reference(image)
    answer = ask(reference) if reference else None
    if reference is None or not isinstance(answer, tuple):
        return None
    seen = application.sightings(stored.name).read(reference.place)
    failed = failed_tags(application.history.revisions(stored.name), policy.workload, reference.place)
    choice = choose(policy, reference, answer[0], seen, failed, now)
    if choice.tag and policy.signed_by:
        return _if_signed(registries, policy, reference, choice)
    return choice


def _if_signed(
    registries: Registries, policy: ImagePolicy, image: Reference, choice: Choice
) -> Choice | None:
    """The choice without a tag that is not signed; None if that is not known."""
    chosen = image.at(choice.tag)
    try:
        if registries.is_signed(image.at(choice.tag, registries.digest(chosen)), policy.signed_by):
            return choice
    except VaultError:
        return None
    return replace(choice, tag="", unsigned=choice.tag)


def _running(workload: Workload, observed: EngineObservation) -> int:
    return sum(
        c.is_ready and workload.accepts(c.revision) for c in observed.by_workload.get(workload.name, ())
    )


def _standing(
    workload: Workload,
    observed: EngineObservation | None,
    ask: Ask,
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
        "choice": line.choice.tag or None if line.choice else None,
        "message": line.message,
    }
