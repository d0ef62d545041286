"""What services are asked and what they use, measured from time to time and kept for an hour, in bounded memory.

Proxies have counters only, so a number is the difference of two looks at them. Containers are measured only while a page is
open, because the engine has work with each of them.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import VaultError
from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.traffic.hour import Hour, Span
from reconciler.core.traffic.tally import Count, Tally, between

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.api.kinds import Ref
    from reconciler.core.plan.preview import Preview
    from reconciler.engines.instances import Instance, Usage
    from reconciler.proxy.base import Counting

__all__ = ["Load", "Meter", "Numbers"]

INTERVAL: Final = 10.0
"""Seconds between two looks."""
MOST_STACKS: Final = 50
"""Services with proxies of their own that are looked at each time; with more of them each has its turn less often."""
MOST_CONTAINERS: Final = 80
STALE: Final = 180.0
"""Seconds after which what a service uses is not known any more."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Load:
    """What the containers of a service use: `cpu` in cores, `memory` in bytes."""

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """One service now. `last` is its last minute, None where no proxy told; `minutes` those of the last hour."""

    last: Span | None = None
    minutes: tuple[Span, ...] = ()
    load: Load | None = None


class Meter:
    """The numbers of all services. Threads may share it.

    `owned` are all containers with their objects, `usage` measures some, and `is_watched` says whether a page is open.
    `changed` is called after each look with the services that it was about.
    """

    def __init__(
        self,
        counting: Counting,
        owned: Callable[[], Sequence[tuple[Ref, Instance]]],
        usage: Callable[[list[str]], Mapping[str, Usage]],
        now: Callable[[], datetime],
        *,
        is_watched: Callable[[], bool],
        changed: Callable[[str, Numbers], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counting = counting
        self._owned = owned
        self._usage = usage
        self._now = now
        self._is_watched = is_watched
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        # In the order in which their turn comes.
        self._stacks: dict[str, tuple[Stack, tuple[int, ...]]] = {}
        self._looked: dict[str, float] = {}
        self._tallies: dict[str, dict[str, Tally]] = {}
        self._hours: dict[str, Hour] = {}
        self._used: dict[str, dict[str, Usage]] = {}
        self._loads: dict[str, tuple[float, Load]] = {}
        # When the containers of each were measured last, whether or not the engine told anything.
        self._measured: dict[str, float] = {}

    def saw(self, name: str, preview: Preview | None) -> None:
        """A pass has observed a service; None: it has not, and where its proxies are is as it was."""
        if preview is None:
            return
        slots = tuple(
            each.slot
            for each in preview.assessment.observed.containers
            if each.role is Role.PROXY and each.state is State.RUNNING and each.slot is not None
        )
        with self._lock:
            self._stacks[name] = (preview.stack, slots)

    def numbers(self, name: str) -> Numbers:
        """Those of one service."""
        now = self._now().timestamp()
        with self._lock:
            hour, (at, load) = self._hours.get(name, Hour()), self._loads.get(name, (0.0, None))
            last, minutes = hour.latest(now), hour.minutes(now)
        return Numbers(last, minutes, load if load and self._clock() - at < STALE else None)

    def forget_others(self, names: Sequence[str]) -> None:
        """Forget all services but these."""
        kept = set(names)
        with self._lock:
            everything: list[dict[str, Any]] = [self._stacks, self._looked, self._tallies, self._hours]
            everything += [self._used, self._loads, self._measured]
            for known in everything:
                for name in known.keys() - kept:
                    del known[name]

    def keep_looking(self, stop: threading.Event, names: Callable[[], Sequence[str]]) -> None:
        """Look from time to time until `stop` is set. `names` are the services that there are."""
        while not stop.wait(INTERVAL):
            try:
                self.look()
                self.forget_others(names())
            except Exception:
                # What is shown to people is no reason to end what shows it.
                _log.exception("the traffic of services is not known")

    def look(self) -> None:
        """Look once at counters, and, while a page is open, at containers."""
        looked = {*self._look_at_counters(), *(self._look_at_containers() if self._is_watched() else ())}
        for name in sorted(looked):
            self._changed(name, self.numbers(name))

    def _look_at_counters(self) -> list[str]:
        with self._lock:
            own = [name for name, (stack, _) in self._stacks.items() if stack.routed is None][:MOST_STACKS]
            for name in own:
                self._stacks[name] = self._stacks.pop(name)
            stacks = {
                name: at for name, at in self._stacks.items() if name in own or at[0].routed is not None
            }
        began = self._clock()
        counts: dict[str, list[Count]] = {name: [] for name in stacks}
        for count in self._counting.counts(list(stacks.values())):
            if count.service in counts:
                counts[count.service].append(count)
        told = {name: found for name, found in counts.items() if found}
        with self._lock:
            for name, found in told.items():
                self._add(name, found, began)
        return list(told)

    def _add(self, name: str, found: Sequence[Count], began: float) -> None:
        before = self._looked.get(name)
        elapsed = None if before is None else began - before
        asked = between(self._tallies.get(name, {}), found, elapsed)[name]
        self._looked[name] = began
        self._tallies[name] = {count.source: count.tally for count in found}
        if elapsed is not None:
            self._hours.setdefault(name, Hour()).add(self._now().timestamp(), elapsed, asked)

    def _look_at_containers(self) -> list[str]:
        services: dict[str, list[str]] = {}
        try:
            for ref, instance in self._owned():
                if instance.state is State.RUNNING:
                    services.setdefault(ref.label, []).append(instance.id)
            chosen = self._chosen(services)
            usage = self._usage([each for name in chosen for each in services[name]])
        except VaultError as error:
            _log.warning("what containers use is not known: %s", error)
            return []
        now = self._clock()
        with self._lock:
            for name in chosen:
                self._measured[name] = now
                before = self._used.get(name, {})
                after = {each: usage[each] for each in services[name] if each in usage}
                self._used[name] = after
                if load := _load(before, after):
                    self._loads[name] = (now, load)
        return chosen

    def _chosen(self, services: Mapping[str, list[str]]) -> list[str]:
        """Those that wait the longest, and not more containers at a time than the engine tells of quickly."""
        with self._lock:
            order = sorted(services, key=lambda name: self._measured.get(name, -math.inf))
        chosen, room = list[str](), MOST_CONTAINERS
        for name in order:
            room -= len(services[name])
            if chosen and room < 0:
                break
            chosen.append(name)
        return chosen


def _load(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> Load | None:
    """What is used, of the containers that were measured twice; None without any."""
    rates = [
        max(0.0, after[each].cpu - before[each].cpu) / seconds
        for each in after.keys() & before.keys()
        if (seconds := (after[each].at - before[each].at).total_seconds()) > 0
    ]
    return Load(sum(rates), sum(each.memory for each in after.values())) if rates else None
