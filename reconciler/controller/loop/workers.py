"""The workers of one kind: a queue of names, and threads that take a name and run a pass over it.

The pass is a function of its kind. Leases, retries with back-off, and slowing down passes that repeat themselves are the
same for all kinds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from metrics import catalog
from metrics.snapshots import QueueSnapshot
from reconciler.api import PermanentError, TemporaryError, VaultError
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.reasons import Reason
from reconciler.controller.loop.election import StandbyError
from reconciler.controller.loop.lease import LeaseTakenError, lease
from reconciler.controller.loop.workqueue import WorkQueue
from reconciler.controller.reconcile.permission import always
from reconciler.controller.report import trace
from reconciler.controller.report.summary import after_failure
from reconciler.controller.report.trace import tracing
from reconciler.store.base import readable

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from metrics.recorder import Recorder
    from reconciler.api.kinds import Kind
    from reconciler.controller.loop.backoff import Backoff
    from reconciler.controller.reconcile.result import Result
    from reconciler.store.base import Objects, Records

__all__ = ["Reconciler", "Workers", "lease_path"]

FOLLOWING_SHARE: Final = 0.2
"""How much of a worker's time passes over one object take that are made because others have changed."""
LONGEST_REST: Final = 0.5
"""Seconds that such a pass waits at most."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """A kind for the loop: `reconcile` runs one pass over a name and may raise VaultError. `objects` and `records` are of
    this kind. It `follows` other kinds: whenever one of their objects changes, or a pass over one has changed something,
    all objects of this kind are due for a pass; see Workers.follow.
    """

    kind: Kind
    objects: Objects[Any, Any]
    records: Records
    reconcile: Callable[[str], Result]
    follows: tuple[Kind, ...] = ()


def lease_path(state_dir: Path, kind: Kind, name: str) -> Path:
    """The file whose lock says that a process works on this object. Names have no dots, so no two kinds share one."""
    # Former releases only know VaultServices, and their lease has to exclude this process while they still run.
    return state_dir / "leases" / (name if kind == VAULT_SERVICE else f"{kind.singular}.{name}")


class Workers:
    """A queue and its threads. `passed` is told each object over which a pass has ended, with the pass's result, or None
    when it failed; `now` dates the events of failures. `require` is called before each pass: when it raises StandbyError,
    there is none until the object is due again. `keep` is called with each object after a pass over it; it may raise
    VaultError.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        state_dir: Path,
        recorder: Recorder,
        backoff: Backoff,
        passed: Callable[[Ref, Result | None], None],
        now: Callable[[], datetime],
        require: Callable[[], object] = always,
        keep: Callable[[Ref], object] = lambda ref: None,
    ) -> None:
        self._reconciler = reconciler
        self._keep = keep
        self._require = require
        self._now = now
        self._state_dir = state_dir
        self._recorder = recorder
        self._backoff = backoff
        self._passed = passed
        self._label = reconciler.kind.singular
        self._queue = WorkQueue(
            waited=lambda seconds: recorder.observe(
                catalog.WORKQUEUE_QUEUE_DURATION, seconds, name=self._label
            )
        )
        for counter in (catalog.WORKQUEUE_ADDS, catalog.WORKQUEUE_RETRIES):
            recorder.add(counter, 0, name=self._label)
        self._repeats: dict[str, str] = {}
        self._gone: set[str] = set()
        self._rests: dict[str, float] = {}
        self._threads: list[threading.Thread] = []

    def start(self, thread: Callable[[Callable[[], None]], threading.Thread], count: int) -> None:
        """Start `count` worker threads; `thread` starts one of them."""
        self._threads = [thread(self._work) for _ in range(count)]

    def wake(self, name: str) -> None:
        """Queue a pass over this object now."""
        if self._queue.add(name):
            self._recorder.add(catalog.WORKQUEUE_ADDS, name=self._label)

    def follow(self, name: str) -> None:
        """Queue a pass over this object because something that it follows has changed: now, unless it has just been made.
        A hundred services that start would keep a gateway busy otherwise, and its passes take longer the more there are.
        """
        rest = self._rests.get(name, 0.0) - time.monotonic()
        if rest <= 0:
            self.wake(name)
        else:
            self._queue.add_after(name, rest)

    def close(self) -> None:
        """Start no further pass."""
        self._queue.close()

    def join(self, deadline: float) -> None:
        """Wait for the passes that are under way, until `deadline` of the monotonic clock."""
        for each in self._threads:
            each.join(max(0.0, deadline - time.monotonic()))

    @property
    def is_live(self) -> bool:
        """Whether all threads are alive."""
        return bool(self._threads) and all(each.is_alive() for each in self._threads)

    def snapshot(self) -> QueueSnapshot:
        """The queue and its threads right now."""
        working = self._queue.working_seconds()
        return QueueSnapshot(
            name=self._label,
            depth=self._queue.depth,
            workers=sum(each.is_alive() for each in self._threads),
            active_workers=len(working),
            unfinished_seconds=sum(working),
            longest_running_seconds=max(working, default=0.0),
        )

    def _work(self) -> None:
        while (name := self._queue.get()) is not None:
            started, label = time.monotonic(), self._ref(name).label
            with tracing(label):
                try:
                    delay = self._pass(name)
                except Exception:
                    # What is said about a pass can fail as well, for example on a full disk.
                    _log.exception("the result of a pass was lost", extra={"service": label})
                    delay = self._backoff.next(label)
                finally:
                    ended, example = time.monotonic(), trace.exemplar()
                    seconds = ended - started
                    self._rests[name] = ended + min(seconds * (1 / FOLLOWING_SHARE - 1), LONGEST_REST)
                    self._recorder.observe(catalog.RECONCILE_DURATION, seconds, name=label, exemplar=example)
                    self._recorder.observe(
                        catalog.WORKQUEUE_WORK_DURATION, seconds, name=self._label, exemplar=example
                    )
                    if name in self._gone:
                        # After its last observation, which would bring the series back.
                        self._gone.discard(name)
                        self._rests.pop(name)
                        self._recorder.forget(label)
                    self._queue.done(name)
            if delay is not None:
                self._queue.add_after(name, delay)

    def _pass(self, name: str) -> float | None:
        """One pass; returns the seconds until the next one, or None to wait for an event."""
        try:
            with lease(lease_path(self._state_dir, self._reconciler.kind, name)):
                self._require()
                try:
                    result = self._reconciler.reconcile(name)
                finally:
                    self._keep(self._ref(name))
        except LeaseTakenError as error:
            return error.delay
        except StandbyError as error:
            self._stand_by(name, error)
            return None
        except PermanentError as error:
            return self._after_error(name, error, "terminal_error")
        except TemporaryError as error:
            delay = self._after_error(name, error, catalog.ERROR)
            return error.delay if error.delay is not None else delay
        except VaultError as error:
            return self._after_error(name, error, catalog.ERROR)
        except Exception as error:
            label = self._ref(name).label
            _log.exception("a pass over %s failed by a defect", label, extra={"service": label})
            return self._after_error(name, error, "panic")
        return self._after_success(name, result)

    def _stand_by(self, name: str, error: StandbyError) -> None:
        """Say in the status who acts; a pass that had begun has ended between two operations."""
        objects = self._reconciler.objects
        with suppress(VaultError):
            if stored := readable(objects, name):
                status, now = objects.status(name), self._now()
                told = after_failure(status, stored.generation, error.reason, str(error), now, stalled=False)
                objects.put_status(name, told)
        self._passed(self._ref(name), None)

    def _after_success(self, name: str, result: Result) -> float | None:
        if result.gone:
            self._backoff.forget(self._ref(name).label)
            self._repeats.pop(name, None)
            self._gone.add(name)
            delay = result.requeue_after
        else:
            outcome = catalog.SUCCESS if result.requeue_after is None else "requeue_after"
            self._count(name, outcome)
            delay = self._slow_down(name, result)
        self._passed(self._ref(name), result)
        return delay

    def _slow_down(self, name: str, result: Result) -> float | None:
        """Back-off for a pass that does exactly what the last one did, since it is probably in a cycle."""
        repeated = bool(result.did) and self._repeats.get(name) == result.did
        self._repeats[name] = result.did
        if repeated:
            return self._backoff.next(self._ref(name).label)
        self._backoff.forget(self._ref(name).label)
        return result.requeue_after

    def _after_error(self, name: str, error: Exception, outcome: str) -> float:
        self._count(name, outcome)
        self._recorder.add(catalog.WORKQUEUE_RETRIES, name=self._label)
        self._record(name, error)
        self._passed(self._ref(name), None)
        return self._backoff.next(self._ref(name).label)

    def _record(self, name: str, error: Exception) -> None:
        """Write a failed pass into the log and the history."""
        if isinstance(error, VaultError):
            reason, message = error.reason, str(error)
        else:
            reason, message = Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
        _log.warning("%s: %s", reason, message, extra={"service": self._ref(name).label})
        self._reconciler.records.record_event(name, "Warning", reason, message, self._now())

    def _count(self, name: str, outcome: str) -> None:
        label = self._ref(name).label
        self._recorder.add(catalog.RECONCILE_TOTAL, name=label, result=outcome, exemplar=trace.exemplar())

    def _ref(self, name: str) -> Ref:
        return Ref(self._reconciler.kind, name)
