"""The actions of the page as data: what each asks for, the change that it makes, and what that does to traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Kind
from reconciler.api.quantities import format_duration, parse_duration
from reconciler.app import changes
from reconciler.app.changes import MOST_REPLICAS, Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.store.base import RevisionRecord, StoredObject

__all__ = ["ACTIONS", "LOSSES", "Action", "Given", "Input"]

NEW_ONES_FIRST: Final = "A new replica serves before an old one is drained; no request is lost."


@dataclass(frozen=True, slots=True)
class Input:
    """A field of a form. `of` returns its first value."""

    name: str
    label: str
    hint: str = ""
    numeric: bool = False
    optional: bool = False
    of: Callable[[StoredObject[Any]], str] = lambda stored: ""


@dataclass(frozen=True, slots=True)
class Given:
    """What an action is asked about: the object, the values of the form, the moment and the history."""

    stored: StoredObject[Any]
    values: Mapping[str, str]
    at: datetime
    records: Sequence[RevisionRecord]


@dataclass(frozen=True, slots=True)
class Action:
    """One of them. `make` raises VaultError for values that it cannot take; `fits` says whether it makes sense now."""

    title: str
    traffic: str
    make: Callable[[Given], Change]
    inputs: tuple[Input, ...] = ()
    fits: Callable[[StoredObject[Any]], bool] = lambda stored: True


def _whole(given: Given, name: str, least: int, most: int) -> int:
    text = given.values.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise VaultError(f"{name} has to be a whole number from {least} to {most}")
    return int(text)


def _scale(given: Given) -> Change:
    return changes.scale(given.stored.name, _whole(given, "replicas", 0, MOST_REPLICAS))


def _undo(given: Given) -> Change:
    number = _whole(given, "revision", 1, 10**8) if given.values.get("revision") else None
    return changes.undo(given.stored, given.records, number)


def _set(given: Given) -> Change:
    field = given.values.get("field", "").strip()
    value = given.values.get("value", "")
    return changes.assign(given.stored.name, {field: changes.value_of(field, value)})


def _replicas(stored: StoredObject[Any]) -> str:
    replicas = stored.resource.spec.replicas
    return "" if replicas is None else str(replicas)


def _interval(stored: StoredObject[Any]) -> str:
    rotation = stored.resource.spec.rotation
    return "" if rotation is None else format_duration(rotation.interval)


def _rotate_every(given: Given) -> Change:
    text = given.values.get("interval", "").strip()
    try:
        parse_duration(text)
    except ValueError as error:
        raise VaultError(f"interval: {error}") from None
    return changes.rotate_every(given.stored.name, text)


def _is_stopped(stored: StoredObject[Any]) -> bool:
    return bool(stored.resource.spec.replicas == 0)


def _is_paused(stored: StoredObject[Any]) -> bool:
    return bool(stored.resource.spec.strategy.paused)


def _is_suspended(stored: StoredObject[Any]) -> bool:
    return bool(stored.resource.spec.suspend)


SET: Final = Action(
    "Set a field",
    "What it does depends on the field: the plan below says it. Secrets do not belong into a manifest.",
    _set,
    (
        Input("field", "Field of the spec", "Such as env.LOG_LEVEL or strategy.rollingUpdate.maxSurge."),
        Input("value", "Value", optional=True),
    ),
)
OF_SERVICES: Final[Mapping[str, Action]] = {
    "scale": Action(
        "Scale",
        "New replicas get traffic once they are ready; those that leave end their sessions first.",
        _scale,
        (
            Input(
                "replicas", "Replicas", "0 stops the service and keeps its data.", numeric=True, of=_replicas
            ),
        ),
    ),
    "restart": Action(
        "Restart",
        f"Each replica is replaced once, as in a rollout. {NEW_ONES_FIRST}",
        lambda given: changes.restart(given.stored.name, given.at),
        fits=lambda stored: not _is_stopped(stored),
    ),
    "rotate": Action(
        "Rotate now",
        f"Each replica is replaced by one of the same revision. {NEW_ONES_FIRST}",
        lambda given: changes.rotate(given.stored.name, given.at),
        fits=lambda stored: not _is_stopped(stored),
    ),
    "rotate-every": Action(
        "Rotation",
        "From now on replicas are replaced because of their age, one after the other. " + NEW_ONES_FIRST,
        _rotate_every,
        (Input("interval", "Interval", "Time between two replacements, such as 10m or 12h.", of=_interval),),
    ),
    "rotate-never": Action(
        "Rotation off",
        "Traffic goes on as it is. No replica is replaced because of its age any more.",
        lambda given: changes.rotate_never(given.stored.name),
        fits=lambda stored: bool(_interval(stored)),
    ),
    "pause": Action(
        "Pause rollouts",
        "Traffic goes on as it is. Replicas that die are still replaced.",
        lambda given: changes.pause(given.stored.name),
        fits=lambda stored: not _is_paused(stored),
    ),
    "resume-rollouts": Action(
        "Resume rollouts",
        f"A rollout that waits goes on. {NEW_ONES_FIRST}",
        lambda given: changes.resume_rollouts(given.stored.name),
        fits=_is_paused,
    ),
    "suspend": Action(
        "Suspend",
        "Traffic goes on as it is. Nothing is repaired: a replica that dies stays dead.",
        lambda given: changes.suspend(given.stored.name),
        fits=lambda stored: not _is_suspended(stored),
    ),
    "resume": Action(
        "Resume",
        "The service is reconciled again, and what was changed meanwhile is rolled out.",
        lambda given: changes.resume(given.stored.name),
        fits=_is_suspended,
    ),
    "stop": Action(
        "Stop",
        "All replicas end their sessions and stop: requests are refused afterwards. Its data stays.",
        lambda given: changes.stop(given.stored),
        fits=lambda stored: not _is_stopped(stored),
    ),
    "start": Action(
        "Start",
        "As many replicas as before the stop are started; requests are served once one is ready.",
        lambda given: changes.start(given.stored),
        fits=_is_stopped,
    ),
    "undo": Action(
        "Undo",
        f"The fields of an earlier revision are rolled out. {NEW_ONES_FIRST}",
        _undo,
        (
            Input(
                "revision",
                "Number of the revision",
                "From the history. Without one: the last complete one before the present one.",
                numeric=True,
                optional=True,
            ),
        ),
    ),
    "set": SET,
}
OF_GATEWAYS: Final[Mapping[str, Action]] = {
    "suspend": replace(
        OF_SERVICES["suspend"],
        traffic="Requests are served as they are. New routes and certificates wait, and a HAProxy that dies stays dead.",
    ),
    "resume": replace(
        OF_SERVICES["resume"],
        traffic="The gateway is reconciled again, and gets the routes and certificates that were changed meanwhile.",
    ),
    "set": replace(
        SET,
        traffic="Requests are served meanwhile; what takes another HAProxy is handed over to it.",
        inputs=(
            Input("field", "Field of the spec", "Such as timeouts.response or accessLog."),
            Input("value", "Value", optional=True),
        ),
    ),
}
ACTIONS: Final[Mapping[Kind, Mapping[str, Action]]] = {
    VAULT_SERVICE: OF_SERVICES,
    VAULT_GATEWAY: OF_GATEWAYS,
}
LOSSES: Final[Mapping[Kind, str]] = {
    VAULT_SERVICE: "Its sessions end, then its containers and networks are removed: requests are refused afterwards. Its "
    "volumes stay.",
    VAULT_GATEWAY: "It waits until no service has a route of it. Then its HAProxies end their sessions and are removed: "
    "its ports refuse connections afterwards.",
}
"""What a deletion takes away."""
