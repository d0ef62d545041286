"""The record of an adoption or a release: what it is about, and how far it has come.

It is the journal, and what admission relies on: the volumes and networks that it names are accepted for this service.
Only `vaultctl adopt` and `vaultctl release` write it. Each change of it is one step, so that any process can continue where
another one was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from reconciler.core.compose.project import Kept
from reconciler.core.desired.stack import Former

VERSION: Final = 1


class RecordError(ValueError):
    """A record that this release cannot read."""


class Stage(StrEnum):
    """What was done last. An adoption goes from the first to `finished`; `undoing` and `releasing` lead out of it."""

    PLANNED = "planned"
    STORED = "stored"
    BESIDE = "beside"
    SWITCHED = "switched"
    MOVING = "moving"
    GIVEN = "given"
    ADOPTED = "adopted"
    FINISHED = "finished"
    UNDOING = "undoing"
    UNDONE = "undone"
    RELEASING = "releasing"
    REMOVED = "removed"
    RELEASED = "released"


_BEFORE_SWITCH: Final = frozenset({Stage.PLANNED, Stage.STORED, Stage.BESIDE})
_GOING_BACK: Final = frozenset({Stage.UNDOING, Stage.UNDONE})
_GOING_OUT: Final = frozenset({Stage.RELEASING, Stage.REMOVED})


@dataclass(frozen=True, slots=True)
class FormerContainer:
    """A container of the project that is adopted. `restart` is its policy before that, `grace` how many seconds it may take
    to stop.
    """

    id: str
    name: str
    service: str
    restart: str = "no"
    retries: int = 0
    grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Adoption:
    """One adoption or release of the service `name`, and the Compose `project` on the other side.

    `web` answers requests; if it `waits`, its containers end before others start. Until then HAProxy listens on the port
    `beside`, 0 for its own. `order` has the services that hold data or work, each after those that it needs; those in
    `moved` were given to the controller, as far as they had `former` containers. `revisions` says what these count as until
    then. `volumes` and `networks` have the engine's names. `directory` is that of a released project.
    """

    name: str
    project: str
    stage: Stage = Stage.PLANNED
    manifest: str = ""
    web: str = ""
    waits: bool = False
    beside: int = 0
    order: tuple[str, ...] = ()
    former: tuple[FormerContainer, ...] = ()
    revisions: Mapping[str, str] = field(default_factory=dict)
    moved: tuple[str, ...] = ()
    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    directory: str = ""

    @property
    def kept(self) -> Kept:
        """What admission accepts for this service."""
        return Kept(self.volumes, self.networks)

    @property
    def file(self) -> str:
        """The Compose file of a released project."""
        return f"{self.directory}/compose.yaml"

    @property
    def listens_beside(self) -> bool:
        """Whether the old web service has the port for now."""
        return bool(self.beside) and self.stage in _BEFORE_SWITCH

    @property
    def may_stay_beside(self) -> bool:
        """Whether the web containers of both sides can answer at once: the former ones have not ended yet."""
        return not self.waits and self.stage in _BEFORE_SWITCH

    @property
    def closed(self) -> str:
        """Why nothing of the service may be started or changed by a pass; empty if it may."""
        if self.stage in _GOING_BACK:
            return f"is going back to project {self.project}; continue: vaultctl adopt {self.project} --undo --yes"
        if self.stage in _GOING_OUT:
            return f"is being released to {self.directory}; continue: vaultctl release {self.name} --yes"
        if self.waits and self.stage in _BEFORE_SWITCH:
            return (
                f"waits until the containers of {self.web} in project {self.project} have ended; "
                f"continue: vaultctl adopt {self.project} --yes"
            )
        return ""

    @property
    def is_released(self) -> bool:
        """Whether a Compose project has the data of the service, and another copy of it must not start."""
        return self.stage is Stage.RELEASED

    @property
    def is_being_released(self) -> bool:
        """Whether a release has begun and is not complete."""
        return self.stage in _GOING_OUT

    @property
    def is_leaving(self) -> bool:
        """Whether what the controller runs is being removed."""
        return self.stage in _GOING_BACK | _GOING_OUT

    @property
    def is_under_way(self) -> bool:
        """Whether steps are left."""
        return self.stage not in (Stage.ADOPTED, Stage.FINISHED, Stage.RELEASED)

    def of(self, *services: str) -> tuple[FormerContainer, ...]:
        """The former containers of these services."""
        return tuple(each for each in self.former if each.service in services)

    def counted(self) -> tuple[Former, ...]:
        """The former containers that a pass reckons with, and as which revision: those of a service that was given to the
        controller are outdated, the others are left as they are.
        """
        return tuple(
            Former(each.id, each.service, "" if each.service in self.moved else self.revisions[each.service])
            for each in self.former
            if each.service in self.revisions
        )


def to_document(record: Adoption) -> dict[str, Any]:
    """A record as JSON."""
    values = asdict(record)
    values["volumes"], values["networks"] = sorted(record.volumes), sorted(record.networks)
    values["revisions"] = dict(record.revisions)
    return {"version": VERSION, **values}


def from_document(document: Any) -> Adoption:
    """A record that `to_document` has made. Raises RecordError."""
    try:
        values = dict(document)
        if (version := values.pop("version")) != VERSION:
            raise RecordError(f"it has version {version!r}, and this release reads {VERSION}")
        return Adoption(
            **{
                **values,
                "stage": Stage(values["stage"]),
                "former": tuple(FormerContainer(**each) for each in values["former"]),
                **{key: frozenset(values[key]) for key in ("volumes", "networks")},
                **{key: tuple(values[key]) for key in ("order", "moved")},
            }
        )
    except (LookupError, TypeError, ValueError) as error:
        raise error if isinstance(error, RecordError) else RecordError(f"it is damaged: {error}") from error


def given(record: Adoption, service: str) -> Adoption:
    """The record after the controller was told to take over a service."""
    return replace(record, moved=(*record.moved, service), stage=Stage.GIVEN)
