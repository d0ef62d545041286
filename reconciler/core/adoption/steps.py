"""The journal's steps: what is done next, and what the record says when that is done.

A process that was killed did a step, or did not, or did a part of it. So every step looks before it acts, and doing it
again is right; the next one follows only from the record. The order keeps each service at one writer: containers of one
side start after those of the other were seen to have ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.core.adoption.record import Adoption, Stage, given


class Act(StrEnum):
    """What a step does."""

    STORE = "store the manifest"
    SETTLE = "wait until it is Ready"
    END = "end the former containers"
    GIVE = "let the controller take over"
    CONFIRM = "see that no former container runs"
    DELETE = "remove what the controller runs"
    REVIVE = "start the former containers"
    UP = "start the Compose project"
    FORGET = "remove the record"


@dataclass(frozen=True, slots=True)
class Step:
    """One step over `services`, and the record `after` it, None if none is left."""

    act: Act
    after: Adoption | None
    services: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.act}{': ' if self.services else ''}{', '.join(self.services)}"


def next_step(record: Adoption) -> Step | None:
    """What is done next; None when nothing is left."""
    web = (record.web,)
    every = record.order if record.web in record.order else (*record.order, record.web)

    def to(stage: Stage) -> Adoption:
        return replace(record, stage=stage)

    match record.stage:
        case Stage.PLANNED:
            return Step(Act.STORE, to(Stage.STORED))
        case Stage.STORED if not record.waits:
            return Step(Act.SETTLE, to(Stage.BESIDE))
        case Stage.STORED | Stage.BESIDE:
            return Step(Act.END, to(Stage.SWITCHED), web)
        case Stage.SWITCHED | Stage.GIVEN:
            return Step(Act.SETTLE, to(Stage.MOVING))
        case Stage.MOVING:
            if left := [name for name in record.order if name not in record.moved]:
                return Step(Act.GIVE, given(record, left[0]), (left[0],))
            return Step(Act.CONFIRM, to(Stage.ADOPTED), every)
        case Stage.UNDOING:
            return Step(Act.DELETE, to(Stage.UNDONE))
        case Stage.UNDONE:
            return Step(Act.REVIVE, None, every)
        case Stage.RELEASING:
            return Step(Act.DELETE, to(Stage.REMOVED))
        case Stage.REMOVED:
            return Step(Act.UP, to(Stage.RELEASED), every)
    return None


def steps(record: Adoption) -> Iterator[Step]:
    """All that is left, in order."""
    current: Adoption | None = record
    while current is not None and (step := next_step(current)) is not None:
        yield step
        current = step.after


def undoing(record: Adoption) -> Adoption:
    """The record of the way back. Raises ValueError where there is none, because the former containers are gone."""
    if record.stage not in (Stage.UNDOING, Stage.UNDONE) and not record.former:
        raise ValueError(f"the containers of project {record.project} are gone")
    return record if record.stage is Stage.UNDONE else replace(record, stage=Stage.UNDOING)
