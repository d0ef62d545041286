"""The changes of a spec that have their own verb: the fields that they set, and their commit subject.

They are data: `editing` carries any of them out, in a file, in Git or in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reconciler.app.revisions import changes_back_to, choose

if TYPE_CHECKING:
    from reconciler.api.yaml_nodes import Scalar
    from reconciler.store.base import RevisionRecord, StoredObject

__all__ = [
    "Change",
    "assign",
    "pause",
    "restart",
    "resume",
    "resume_rollouts",
    "rotate",
    "scale",
    "suspend",
    "undo",
]


@dataclass(frozen=True)
class Change:
    """Fields of `spec`, such as "replicas" or "env.LEVEL", and their new values; None removes a field.

    `subject` words the commit, from the values that there were before.
    """

    fields: Mapping[str, Scalar]
    subject: Callable[[Mapping[str, Any]], str]


def assign(name: str, fields: Mapping[str, Scalar]) -> Change:
    """Other values for these fields."""
    # Fields without values: a setting may be a secret, and all readers of the repository see the subject.
    return Change(fields, lambda old: f"set({name}): {', '.join(fields)}")


def scale(name: str, replicas: int) -> Change:
    """Another number of web replicas."""
    return Change(
        {"replicas": replicas},
        lambda old: f"scale({name}): replicas {old['replicas'] or 'default'} -> {replicas}",
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
    moment = _written(now)
    return Change({"restartedAt": moment}, lambda old: f"restart({name}): {moment}")


def rotate(name: str, now: datetime) -> Change:
    """Replace every web replica that exists now by one of the same revision."""
    moment = _written(now)
    return Change({"rotatedAt": moment}, lambda old: f"rotate({name}): {moment}")


def undo(stored: StoredObject[Any], records: Sequence[RevisionRecord], number: int | None) -> Change:
    """Go back to revision `number`, or the last complete one before the present one. Raises VaultError if there is none,
    or if it cannot be written as single values.
    """
    record = choose(records, number)
    fields = changes_back_to(record, stored.resource.spec)
    return Change(fields, lambda old: f"undo({stored.name}): back to revision {record.number}")


def _written(now: datetime) -> str:
    """A moment as manifests write it: RFC 3339, in UTC, whole seconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
