"""Asks registries at the intervals of policies, and writes what is chosen into manifests, where a person would write it.

Nothing else is done here: the changed manifest is a rollout like any other, with its health gate and its rollback. A
failure concerns one service, is told once, and is tried again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from metrics import catalog
from reconciler.api.errors import PermanentError, VaultError
from reconciler.api.reasons import Reason
from reconciler.controller.images.failed import failed_tags
from reconciler.core.images.choice import choose, within
from reconciler.core.images.reference import Reference, read_reference, shortened
from reconciler.store.base import EventType, readable

if TYPE_CHECKING:
    from metrics.recorder import Recorder
    from reconciler.api import VaultService
    from reconciler.api.image_policy import ImagePolicy
    from reconciler.registry.base import Registries
    from reconciler.store.base import Objects, Records, StoredObject

__all__ = ["ImageUpdates", "Sightings", "keep_updating"]

TICK: Final = 2.0
"""Seconds between two looks at what is due."""
AGAIN: Final = timedelta(hours=1)
"""The longest time until a check that has failed is repeated, also if its interval is longer."""

_log = logging.getLogger(__name__)


class Sightings(Protocol):
    """When the tags of one service's image were first seen."""

    def add(self, place: str, tags: Collection[str], now: datetime) -> Mapping[str, datetime]:
        """The sightings of exactly these tags of a repository, `now` for new ones."""


@dataclass(frozen=True, slots=True)
class _Due:
    policy: ImagePolicy
    moment: datetime


@dataclass
class ImageUpdates:
    """The policies of all services. `image_of` is the image that the plugin or the Compose file names for a workload;
    `write` sets that of a workload in the manifest and says where, or "" if it was set already; both raise VaultError.

    `registries` and `write` are first called for a policy: what speaks HTTP and edits manifests takes memory, and most
    controllers have no policy.
    """

    objects: Objects
    records: Records
    registries: Callable[[], Registries]
    sightings: Callable[[str], Sightings]
    image_of: Callable[[StoredObject, str], str]
    write: Callable[[StoredObject, str, str], str]
    recorder: Recorder
    now: Callable[[], datetime]
    _stamp: object | None = None
    _due: dict[str, _Due] = field(default_factory=dict)
    _told: dict[str, tuple[str, str]] = field(default_factory=dict)

    def look(self) -> None:
        """Check the services whose time has come. Without any, and without a changed object, this costs nothing."""
        stamp = self.objects.stamp()
        is_quiet = stamp is not None and stamp == self._stamp
        if is_quiet and all(self.now() < each.moment for each in self._due.values()):
            return
        self._stamp = stamp
        names = self.objects.names()
        for gone in self._due.keys() - set(names):
            self._due.pop(gone)
            self._told.pop(gone, None)
        for name in names:
            try:
                stored = readable(self.objects, name)
            except VaultError:
                # A pass tells what is wrong with it.
                continue
            policy = stored.resource.spec.image_policy if stored else None
            if stored is None or policy is None or stored.deletion or stored.resource.spec.suspend:
                self._due.pop(name, None)
                continue
            due = self._due.get(name)
            if due is None or due.policy != policy or self.now() >= due.moment:
                self._check(stored, policy)

    def _check(self, stored: StoredObject, policy: ImagePolicy) -> None:
        interval = timedelta(seconds=policy.interval)
        result, pause = catalog.ERROR, min(interval, AGAIN)
        try:
            self._follow(stored, policy)
        except VaultError as error:
            reason = error.reason if isinstance(error, _NotTakenError) else Reason.IMAGE_CHECK_FAILED
            self._tell_once(stored, "Warning", reason, f"imagePolicy of {policy.workload}: {error}")
        except Exception:
            # Otherwise it would be tried at each tick, and the services behind it never.
            _log.exception("a check of an image policy failed", extra={"service": stored.ref.label})
        else:
            result, pause = catalog.SUCCESS, interval
            self._forgive(stored.name)
        self.recorder.add(catalog.IMAGE_CHECKS, name=stored.ref.label, result=result)
        self._due[stored.name] = _Due(policy, self.now() + pause)

    def _follow(self, stored: StoredObject, policy: ImagePolicy) -> None:
        """Ask the registry, and write what is chosen. Raises VaultError."""
        image = self._present(stored, policy.workload)
        tags = self.registries().tags(image)
        now = self.now()
        seen = self.sightings(stored.name).add(image.place, within(policy, tags), now)
        failed = failed_tags(self.records.revisions(stored.name), policy.workload, image.place)
        choice = choose(policy, image, tags, seen, failed, now)
        if choice.tag:
            chosen = image.at(choice.tag)
            if policy.digest != "none":
                chosen = image.at(choice.tag, self.registries().digest(chosen))
            self._check_signature(policy, chosen)
            self._write(stored, policy.workload, chosen, f"{image.tag or 'no tag'} -> {choice.tag}")
        elif image.digest and image.tag:
            self._compare(stored, policy, image)

    def _compare(self, stored: StoredObject, policy: ImagePolicy, image: Reference) -> None:
        """Notice that the tag of a pinned image means another one by now."""
        digest = self.registries().digest(image.at(image.tag))
        if digest == image.digest:
            return
        moved = f"{image.tag} has moved from {shortened(image.digest)} to {shortened(digest)}"
        if policy.digest == "follow":
            self._check_signature(policy, image.at(image.tag, digest))
            self._write(stored, policy.workload, image.at(image.tag, digest), moved)
            return
        way_out = (
            f"vaultctl set {stored.name} images.{policy.workload}={image.at(image.tag, digest)} takes it"
        )
        self._tell_once(
            stored,
            "Warning",
            Reason.IMAGE_MOVED,
            f"{policy.workload}: tag {moved} in its registry; {way_out}",
        )

    def _check_signature(self, policy: ImagePolicy, image: Reference) -> None:
        if policy.signed_by and not self.registries().is_signed(image, policy.signed_by):
            raise _NotSignedError(f"{image} is not taken: cosign has signed it with no key of signedBy")

    def _present(self, stored: StoredObject, workload: str) -> Reference:
        service: VaultService = stored.resource
        image = service.spec.images.get(workload) or self.image_of(stored, workload)
        reference = read_reference(image)
        if reference is None:
            raise PermanentError(
                f"image {image} has no registry that could be asked; name another one in spec.images"
            )
        return reference

    def _write(self, stored: StoredObject, workload: str, image: Reference, change: str) -> None:
        try:
            place = self.write(stored, workload, str(image))
        except VaultError as error:
            raise _NotWrittenError(f"{image} is chosen, and cannot be written: {error}") from error
        if place:
            self._tell(
                stored, "Normal", Reason.IMAGE_CHOSEN, f"{workload}: {change}: {image}, written to {place}"
            )

    def _tell_once(self, stored: StoredObject, type_: EventType, reason: Reason, text: str) -> None:
        if self._told.get(stored.name) != (reason, text):
            self._told[stored.name] = (reason, text)
            self._tell(stored, type_, reason, text)

    def _forgive(self, name: str) -> None:
        """A check has succeeded: the next failure is told, also if it is the same again."""
        if self._told.get(name, ("", ""))[0] != Reason.IMAGE_MOVED:
            self._told.pop(name, None)

    def _tell(self, stored: StoredObject, type_: EventType, reason: Reason, text: str) -> None:
        level = logging.INFO if type_ == "Normal" else logging.WARNING
        _log.log(level, "%s: %s", reason, text, extra={"service": stored.ref.label})
        self.records.record_event(stored.name, type_, reason, text, self.now())


class _NotTakenError(VaultError):
    """An image was chosen, and the manifest does not name it."""


class _NotSignedError(_NotTakenError):
    """It has no signature that the policy asks for."""

    reason = Reason.IMAGE_NOT_SIGNED


class _NotWrittenError(_NotTakenError):
    """The manifest could not be changed."""

    reason = Reason.IMAGE_NOT_WRITTEN


def keep_updating(
    updates: ImageUpdates, stop: threading.Event, acts: Callable[[], bool] = lambda: True
) -> None:
    """Look at what is due until `stop` is set, while this controller `acts`; a defect ends no later look."""
    while not stop.wait(TICK):
        try:
            if acts():
                updates.look()
        except Exception:
            _log.exception("a look at image policies failed")
