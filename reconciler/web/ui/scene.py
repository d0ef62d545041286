"""What a pass has seen of a service, as values for a template: its replicas, its budget, and the plan with its causes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.core.assess.instance import Phase
from reconciler.core.desired.stack import Role
from reconciler.core.plan.strategies import decide

if TYPE_CHECKING:
    from reconciler.core.assess.health import Replica
    from reconciler.core.assess.instance import Instance
    from reconciler.core.plan.preview import Preview

__all__ = ["Budget", "Part", "Scene", "Stage", "Step", "scene_of"]

Hide = Callable[[str], str]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One container. `state` is one word: that of the life of a replica, or the phase of another instance. `sessions` is
    None where no proxy counts them.
    """

    name: str
    role: str
    state: str
    revision: str
    is_current: bool
    sessions: int | None
    created: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """How far replicas may change now: `floor` have to take traffic, and there may be `most` containers."""

    desired: int
    serving: int
    live: int
    floor: int
    most: int
    holds: bool

    @property
    def may_leave(self) -> int:
        """How many of those that take traffic may leave now."""
        return max(0, self.serving - self.floor)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of the plan, and why it is in it."""

    does: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One observation of a service."""

    replicas: tuple[Part, ...]
    others: tuple[Part, ...]
    budget: Budget
    steps: tuple[Step, ...]
    waiting: tuple[str, ...]
    blocked: str
    asleep: str
    differences: tuple[str, ...]


def scene_of(preview: Preview, hide: Hide) -> Scene:
    """The values of one observation; `hide` takes the secrets of the service out of a text."""
    assessment, plan = preview.assessment, preview.plan
    decision = decide(assessment)
    replicas = assessment.replicas
    return Scene(
        replicas=tuple(
            _part(each, replica_state(each), hide, each.sessions if each.member else None, each.doubt)
            for each in replicas
        ),
        others=tuple(_part(each, each.phase.value, hide, None, each.reason) for each in assessment.others),
        budget=Budget(
            desired=assessment.pool.desired,
            serving=assessment.pool.serving,
            live=sum(each.live for each in replicas),
            floor=decision.floor,
            most=assessment.pool.desired + decision.surge,
            holds=decision.holds,
        ),
        steps=tuple(
            Step(hide(each.sentence), each.cause.value, hide(each.detail)) for each in plan.operations
        ),
        waiting=tuple(map(hide, plan.waiting)),
        blocked=hide(plan.blocked),
        asleep=hide(plan.asleep),
        differences=tuple(hide(str(each)) for each in preview.differences),
    )


def replica_state(replica: Replica) -> str:
    """Where a replica is in its life: created, warming, ready, serving, draining, stopping; or unhealthy, dead."""
    if replica.phase in (Phase.STOPPING, Phase.DEAD):
        return replica.phase.value
    if replica.draining:
        return "draining"
    return "serving" if replica.serving else replica.phase.value


def _part(instance: Instance, state: str, hide: Hide, sessions: int | None, why: str) -> Part:
    container = instance.container
    return Part(
        name=container.name,
        role="" if container.role is Role.WEB else container.role.value,
        state=state,
        revision=container.revision,
        is_current=instance.current,
        sessions=sessions,
        created=container.created,
        why=hide(why),
    )


class Stage:
    """The last scene of each service that a pass of this controller has seen. Threads may share it."""

    def __init__(self, hide: Callable[[str, str], str], changed: Callable[[str], None]) -> None:
        """`hide` takes the secrets of a service (the second argument) out of a text."""
        self._hide = hide
        self._changed = changed
        self._lock = threading.Lock()
        self._scenes: dict[str, Scene] = {}

    def saw(self, name: str, preview: Preview | None) -> None:
        """A pass has observed a service; None: it has not, and what was seen before may no longer be so."""
        try:
            scene = None if preview is None else scene_of(preview, lambda text: self._hide(text, name))
        except Exception:
            # It is called by a pass, which no defect of the page may end.
            _log.exception("the page cannot show what a pass has seen of %s", name)
            scene = None
        with self._lock:
            is_news = scene != self._scenes.get(name)
            if scene is None:
                self._scenes.pop(name, None)
            else:
                self._scenes[name] = scene
        if is_news:
            self._changed(name)

    def get(self, name: str) -> Scene | None:
        """The last one."""
        with self._lock:
            return self._scenes.get(name)
