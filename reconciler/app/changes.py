"""The changes of a spec that have their own verb: the fields that they set, and their commit subject.

They are data: `editing` carries any of them out, in a file, in Git or in the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.edit import ANNOTATION, LABEL
from reconciler.api.errors import VaultError
from reconciler.api.moments import format_moment
from reconciler.app.revisions import changes_back_to, choose

if TYPE_CHECKING:
    from reconciler.api.yaml_nodes import Scalar
    from reconciler.store.base import RevisionRecord, StoredObject

__all__ = [
    "Change",
    "annotate",
    "assign",
    "choose_image",
    "label",
    "pause",
    "restart",
    "resume",
    "resume_rollouts",
    "rotate",
    "rotate_every",
    "rotate_never",
    "scale",
    "start",
    "stop",
    "suspend",
    "undo",
    "value_of",
]

REPLICAS: Final = "vault.internal/replicas"
"""The annotation in which `stop` notes the number of replicas that there were."""

MOST_REPLICAS: Final = 1000
_COUNT: Final = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class Change:
    """Fields of `spec`, such as "replicas" or "env.LEVEL", labels and annotations such as "metadata.labels.team", and their
    new values; None removes one.

    `subject` words the commit, from the values that there were before.
    """

    fields: Mapping[str, Scalar]
    subject: Callable[[Mapping[str, Any]], str]


def value_of(field: str, text: str) -> Scalar:
    """The value of a field that a user has typed. Settings and images are text by definition; everywhere else it is read
    as in a manifest. Raises VaultError for what is no name of a field.
    """
    from reconciler.api.yaml_loader import plain_scalar

    if not all(field.split(".")):
        raise VaultError(f"{field!r} is no field; write, for example, env.LOG_LEVEL")
    return text if field.startswith(("env.", "images.")) else plain_scalar(text)


def assign(name: str, fields: Mapping[str, Scalar]) -> Change:
    """Other values for these fields."""
    # Fields without values: a setting may be a secret, and all readers of the repository see the subject.
    return Change(fields, lambda old: f"set({name}): {', '.join(fields)}")


def choose_image(name: str, workload: str, image: str) -> Change:
    """Another image of a workload."""
    field = f"images.{workload}"
    return Change(
        {field: image}, lambda old: f"image({name}): {workload} {old[field] or 'default'} -> {image}"
    )


def label(stored: StoredObject[Any], marks: Mapping[str, str | None], *, overwrite: bool) -> Change:
    """Other labels. Raises VaultError for one that has another value, unless `overwrite`."""
    return _mark("label", LABEL, stored, stored.resource.metadata.labels, marks, overwrite=overwrite)


def annotate(stored: StoredObject[Any], marks: Mapping[str, str | None], *, overwrite: bool) -> Change:
    """Other annotations. Raises VaultError for one that has another value, unless `overwrite`."""
    return _mark(
        "annotate", ANNOTATION, stored, stored.resource.metadata.annotations, marks, overwrite=overwrite
    )


def _mark(
    verb: str,
    prefix: str,
    stored: StoredObject[Any],
    present: Mapping[str, str],
    marks: Mapping[str, str | None],
    *,
    overwrite: bool,
) -> Change:
    taken = [key for key, value in marks.items() if value is not None and present.get(key, value) != value]
    if taken and not overwrite:
        raise VaultError(
            f"{stored.ref.label} has another {', '.join(taken)} already; replace it with --overwrite"
        )
    names = ", ".join(key if value is not None else f"{key}-" for key, value in marks.items())
    return Change(
        {prefix + key: value for key, value in marks.items()}, lambda old: f"{verb}({stored.name}): {names}"
    )


def scale(name: str, replicas: int) -> Change:
    """Another number of web replicas."""
    return Change(
        {"replicas": replicas},
        lambda old: f"scale({name}): replicas {old['replicas'] or 'default'} -> {replicas}",
    )


def stop(stored: StoredObject[Any]) -> Change:
    """No replicas. The number that the manifest asks for is noted in it, so that `start` finds it from anywhere."""
    replicas, name = stored.resource.spec.replicas, stored.name
    if replicas == 0:
        return Change({}, lambda old: f"stop({name})")
    noted = None if replicas is None else str(replicas)
    return Change(
        {"replicas": 0, ANNOTATION + REPLICAS: noted},
        lambda old: f"stop({name}): replicas {old['replicas'] or 'default'} -> 0",
    )


def start(stored: StoredObject[Any]) -> Change:
    """The number of replicas before `stop`, or what a manifest without a number comes to. Raises VaultError."""
    resource, name = stored.resource, stored.name
    if resource.spec.replicas != 0:
        return Change({}, lambda old: f"start({name})")
    noted = resource.metadata.annotations.get(REPLICAS)
    if noted is not None and not (_COUNT.fullmatch(noted) and int(noted) <= MOST_REPLICAS):
        raise VaultError(
            f"metadata.annotations.{REPLICAS} of {name} is {noted!r}, which is no number from 1 to {MOST_REPLICAS}; "
            f"run: vaultctl scale {name} --replicas N"
        )
    replicas = None if noted is None else int(noted)
    return Change(
        {"replicas": replicas, ANNOTATION + REPLICAS: None},
        lambda old: f"start({name}): replicas 0 -> {replicas or 'default'}",
    )


def suspend(name: str) -> Change:
    """Stop reconciling a service."""
    return Change({"suspend": True}, lambda old: f"suspend({name}): leave it alone")


def resume(name: str) -> Change:
    """Reconcile a service again."""
    return Change({"suspend": False}, lambda old: f"resume({name}): take care of it again")


def pause(name: str) -> Change:
    """Pause rollouts; dead replicas are still replaced."""
    return Change({"strategy.paused": True}, lambda old: f"pause({name}): pause rollouts")


def resume_rollouts(name: str) -> Change:
    """Resume rollouts."""
    return Change({"strategy.paused": False}, lambda old: f"resume({name}): resume rollouts")


def restart(name: str, now: datetime) -> Change:
    """Replace every web replica once, as a rollout to a new revision."""
    moment = format_moment(now)
    return Change({"restartedAt": moment}, lambda old: f"restart({name}): {moment}")


def rotate(name: str, now: datetime) -> Change:
    """Replace every web replica that exists now by one of the same revision."""
    moment = format_moment(now)
    return Change({"rotatedAt": moment}, lambda old: f"rotate({name}): {moment}")


def rotate_every(name: str, interval: str) -> Change:
    """Replace replicas because of their age, each `interval`, a duration such as "10m"."""
    return Change(
        {"rotation.interval": interval},
        lambda old: f"rotate({name}): interval {old['rotation.interval'] or 'never'} -> {interval}",
    )


def rotate_never(name: str) -> Change:
    """Replace no replica because of its age."""
    return Change({"rotation": None}, lambda old: f"rotate({name}): never")


def undo(stored: StoredObject[Any], records: Sequence[RevisionRecord], number: int | None) -> Change:
    """Go back to revision `number`, or the last complete one before the present one. Raises VaultError if there is none,
    or if it cannot be written as single values.
    """
    record = choose(records, number)
    fields = changes_back_to(record, stored.resource.spec)
    return Change(fields, lambda old: f"undo({stored.name}): back to revision {record.number}")
