"""The workers of one kind: a queue of names, and threads that take a name and run a pass over it.

The pass is a function of its kind. Leases, retries with back-off, and slowing down passes that repeat themselves are the
same for all kinds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from metrics import catalog
from metrics.snapshots import QueueSnapshot
from reconciler.api import PermanentError, TemporaryError, VaultError
from reconciler.api.kinds import VAULT_SERVICE
from reconciler.controller.loop.lease import LeaseTakenError, lease
from reconciler.controller.loop.workqueue import WorkQueue
from reconciler.controller.report import trace
from reconciler.controller.report.trace import tracing

if TYPE_CHECKING:
    import threading

    from metrics.recorder import Recorder
    from reconciler.api.kinds import Kind
    from reconciler.controller.loop.backoff import Backoff
    from reconciler.controller.reconcile.service import Result

__all__ = ["Reconciler", "Workers", "lease_path"]

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """The functions of a kind: `reconcile` runs one pass over a name and may raise VaultError, `failed` is called after
    each pass that did.
    """

    kind: Kind
    reconcile: Callable[[str], Result]
    failed: Callable[[str, Exception], None]


def lease_path(state_dir: Path, kind: Kind, name: str) -> Path:
    """The file whose lock says that a process works on this object. Names have no dots, so kinds never meet."""
    # Former releases only know VaultServices, and their lease has to exclude this process while they still run.
    return state_dir / "leases" / (name if kind == VAULT_SERVICE else f"{kind.singular}.{name}")


class Workers:
    """A queue and its threads. `passed` is told each name over which a pass has ended, with the pass's result, or None
    when it failed.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        state_dir: Path,
        recorder: Recorder,
        backoff: Backoff,
        passed: Callable[[str, Result | None], None],
    ) -> None:
        self._reconciler = reconciler
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
        self._threads: list[threading.Thread] = []

    def start(self, thread: Callable[[Callable[[], None]], threading.Thread], count: int) -> None:
        """Start `count` worker threads; `thread` starts one of them."""
        self._threads = [thread(self._work) for _ in range(count)]

    def wake(self, name: str) -> None:
        """Queue a pass over this object now."""
        if self._queue.add(name):
            self._recorder.add(catalog.WORKQUEUE_ADDS, name=self._label)

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
            started = time.monotonic()
            with tracing(name):
                try:
                    delay = self._pass(name)
                finally:
                    seconds, example = time.monotonic() - started, trace.exemplar()
                    self._recorder.observe(catalog.RECONCILE_DURATION, seconds, name=name, exemplar=example)
                    self._recorder.observe(
                        catalog.WORKQUEUE_WORK_DURATION, seconds, name=self._label, exemplar=example
                    )
                    self._queue.done(name)
            if delay is not None:
                self._queue.add_after(name, delay)

    def _pass(self, name: str) -> float | None:
        """One pass; returns the seconds until the next one, or None to wait for an event."""
        try:
            with lease(lease_path(self._state_dir, self._reconciler.kind, name)):
                result = self._reconciler.reconcile(name)
        except LeaseTakenError as error:
            return error.delay
        except PermanentError as error:
            return self._after_error(name, error, "terminal_error")
        except TemporaryError as error:
            delay = self._after_error(name, error, catalog.ERROR)
            return error.delay if error.delay is not None else delay
        except VaultError as error:
            return self._after_error(name, error, catalog.ERROR)
        except Exception as error:
            _log.exception("a pass over %s failed by a defect", name, extra={"service": name})
            return self._after_error(name, error, "panic")
        return self._after_success(name, result)

    def _after_success(self, name: str, result: Result) -> float | None:
        if result.gone:
            self._backoff.forget(name)
            self._repeats.pop(name, None)
        else:
            outcome = catalog.SUCCESS if result.requeue_after is None else "requeue_after"
            self._recorder.add(catalog.RECONCILE_TOTAL, name=name, result=outcome, exemplar=trace.exemplar())
        delay = self._slow_down(name, result)
        self._passed(name, result)
        return delay

    def _slow_down(self, name: str, result: Result) -> float | None:
        """Back-off for a pass that does exactly what the last one did, since it is probably in a cycle."""
        repeated = bool(result.did) and self._repeats.get(name) == result.did
        self._repeats[name] = result.did
        if repeated:
            return self._backoff.next(name)
        self._backoff.forget(name)
        return result.requeue_after

    def _after_error(self, name: str, error: Exception, outcome: str) -> float:
        self._recorder.add(catalog.RECONCILE_TOTAL, name=name, result=outcome, exemplar=trace.exemplar())
        self._recorder.add(catalog.WORKQUEUE_RETRIES, name=self._label)
        self._reconciler.failed(name, error)
        self._passed(name, None)
        return self._backoff.next(name)
