"""The controller: threads around a queue. Triggers add names, workers take one each and make a pass over it.

`run` goes on until it is told to stop; `converge` works on a few names until each is done, which is how `vaultctl apply`
does without a controller. Both end between operations, and what runs keeps running.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from metrics import catalog
from metrics.recorder import Recorder
from metrics.snapshots import QueueSnapshot
from reconciler.api import (
    PermanentError,
    ReplicaCounts,
    TemporaryError,
    VaultError,
    find_condition,
)
from reconciler.controller.loop import triggers
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.following import Follower, Following
from reconciler.controller.loop.lease import LeaseTakenError, lease
from reconciler.controller.loop.workqueue import WorkQueue
from reconciler.controller.reconcile.service import Result, reconcile
from reconciler.controller.reconcile.world import World
from reconciler.controller.report import trace
from reconciler.controller.report.trace import tracing
from reconciler.controller.report.verdict import Verdict, summarize

QUEUE: Final = "vaultservice"
SYNC_RETRY_SECONDS: Final = 2.0
CONVERGE_RESYNC: Final = 5.0
"""Seconds between two looks of `converge` at everything it works on."""

JOIN_SECONDS: Final = 30.0
"""How long a stop waits for passes that are under way."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """A pass has ended: what to show somebody who waits."""

    name: str
    replicas: ReplicaCounts
    message: str
    did: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How waiting for a VaultService ended."""

    ready: bool
    reason: str
    message: str


class Controller:
    """The loop of one process."""

    def __init__(
        self,
        world: World,
        state_dir: Path,
        recorder: Recorder,
        backoff: Backoff,
        *,
        following: Following,
        workers: int,
        resync: float,
        on_progress: Callable[[Progress], None] | None = None,
        plugins: Callable[[], object] = lambda: None,
    ) -> None:
        self._world = world
        self._plugins = plugins
        self._state_dir = state_dir
        self._recorder = recorder
        self._backoff = backoff
        self._worker_count = workers
        self._resync = resync
        self._on_progress = on_progress or (lambda progress: None)
        self._queue = WorkQueue(
            waited=lambda seconds: recorder.observe(catalog.WORKQUEUE_QUEUE_DURATION, seconds, name=QUEUE)
        )
        for counter in (catalog.WORKQUEUE_ADDS, catalog.WORKQUEUE_RETRIES):
            recorder.add(counter, 0, name=QUEUE)
        self._stop = threading.Event()
        self._follower = Follower(following, world.objects, self.wake, world.now, self._stop)
        self._passed = threading.Condition()
        self._repeats: dict[str, str] = {}
        self._streamed = False
        self._workers: list[threading.Thread] = []

    # Running

    def run(self, stop: threading.Event) -> None:
        """Keep every VaultService as its spec says until `stop` is set. Raises LeaseTakenError for a second controller."""
        with lease(self._state_dir / "controller.lock"):
            self._start(triggers.watch_objects, self._state_dir / "services", self.wake_all, self._stop)
            self._start(triggers.resync, self.wake_all, self._resync, self._stop)
            self._start(self._world.engine.sweep)
            self._start(triggers.watch_plugins, self._plugins, self.wake_all, self._stop)
            for source in self._follower.sources:
                self._start(self._follower.follow, source)
            self._start_work()
            self.wake_all()
            stop.wait()
            self._end()

    def converge(self, names: Collection[str], timeout: float) -> Mapping[str, Outcome]:
        """Work on these names until each is Ready, gone or beyond help, or `timeout` seconds are over."""
        self._start_work()
        self._wake_each(names)
        # Nobody else would notice a lost event before the time is over.
        self._start(triggers.resync, partial(self._wake_each, names), CONVERGE_RESYNC, self._stop)
        deadline = time.monotonic() + timeout
        outcomes: dict[str, Outcome] = {}
        with self._passed:
            while True:
                outcomes = {name: outcome for name in names if (outcome := self._outcome(name))}
                left = deadline - time.monotonic()
                if len(outcomes) == len(names) or left <= 0:
                    break
                self._passed.wait(left)
        self._end()
        return {name: outcomes.get(name) or self._late(name, timeout) for name in names}

    def wake(self, name: str) -> None:
        """Look at this VaultService now."""
        if self._queue.add(name):
            self._recorder.add(catalog.WORKQUEUE_ADDS, name=QUEUE)

    def wake_all(self) -> None:
        """Look at all of them."""
        try:
            names = self._world.objects.names()
        except VaultError as error:
            _log.error("%s", error)
            return
        self._wake_each(names)

    def _wake_each(self, names: Collection[str]) -> None:
        for name in names:
            self.wake(name)

    # Telling

    @property
    def is_live(self) -> bool:
        """Whether all workers are alive."""
        return bool(self._workers) and all(worker.is_alive() for worker in self._workers)

    @property
    def is_loaded(self) -> bool:
        """Whether there is something to go by: a source was read, or none is followed."""
        return self._follower.is_loaded

    def queues(self) -> tuple[QueueSnapshot, ...]:
        """The queue and its workers right now."""
        working = self._queue.working_seconds()
        return (
            QueueSnapshot(
                name=QUEUE,
                depth=self._queue.depth,
                workers=sum(worker.is_alive() for worker in self._workers),
                active_workers=len(working),
                unfinished_seconds=sum(working),
                longest_running_seconds=max(working, default=0.0),
            ),
        )

    # Threads

    def _start(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(
            target=self._guarded, args=(target, *arguments), name=target.__name__, daemon=True
        )
        thread.start()
        return thread

    def _guarded(self, target: Callable[..., None], *arguments: object) -> None:
        """A trigger that ends by a defect is started again: the resync alone would make us slow."""
        while not self._stop.is_set():
            try:
                target(*arguments)
                return
            except Exception:
                _log.exception("%s ended and is started again", target.__name__)
                self._stop.wait(1.0)

    def _start_work(self) -> None:
        self._start(triggers.watch_engine, self._world.engine, self._notice, self._missed_events, self._stop)
        self._start(triggers.watch_proxy, self._world.proxy, self.wake, self._stop)
        self._workers = [self._start(self._work) for _ in range(self._worker_count)]

    def _notice(self, name: str) -> None:
        """Something happened to a container; it may belong to the controller of another state directory."""
        if name in self._world.objects.names():
            self.wake(name)

    def _missed_events(self) -> None:
        # The first time nothing was missed, but something may have happened before the stream was there.
        if self._streamed:
            self._recorder.add(catalog.EVENT_STREAM_RECONNECTS)
        self._streamed = True
        self.wake_all()

    def _end(self) -> None:
        self._stop.set()
        self._queue.close()
        deadline = time.monotonic() + JOIN_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    # Passes

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
                        catalog.WORKQUEUE_WORK_DURATION, seconds, name=QUEUE, exemplar=example
                    )
                    self._queue.done(name)
            if delay is not None:
                self._queue.add_after(name, delay)

    def _pass(self, name: str) -> float | None:
        """One pass; returns in how many seconds to make the next one, if not only when something happens."""
        try:
            with lease(self._state_dir / "leases" / name):
                result = reconcile(name, self._world)
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
        self._tell(name, result.did)
        if result.converged:
            self._wake_dependants(name)
        return delay

    def _slow_down(self, name: str, result: Result) -> float | None:
        """A pass that does just what the last one did is going in a circle, and may do so only ever more slowly."""
        repeated = bool(result.did) and self._repeats.get(name) == result.did
        self._repeats[name] = result.did
        if repeated:
            return self._backoff.next(name)
        self._backoff.forget(name)
        return result.requeue_after

    def _after_error(self, name: str, error: Exception, outcome: str) -> float:
        self._recorder.add(catalog.RECONCILE_TOTAL, name=name, result=outcome, exemplar=trace.exemplar())
        self._recorder.add(catalog.WORKQUEUE_RETRIES, name=QUEUE)
        self._world.journal.failed(name, type(error).__name__, str(error), self._world.now())
        self._tell(name, "")
        return self._backoff.next(name)

    def _tell(self, name: str, did: str) -> None:
        try:
            status = self._world.objects.status(name)
        except VaultError:
            return
        reconciling = find_condition(status.conditions, "Reconciling")
        ready = find_condition(status.conditions, "Ready")
        message = (reconciling.message if reconciling else "") or (ready.message if ready else "")
        self._on_progress(Progress(name, status.replicas, message, did))
        with self._passed:
            self._passed.notify_all()

    def _wake_dependants(self, name: str) -> None:
        for other in self._world.objects.names():
            try:
                stored = self._world.objects.get(other)
            except VaultError as error:
                # Its own pass says so; it must not keep the others from being woken.
                _log.debug("%s: %s", other, error)
                continue
            if stored and name in stored.service.spec.depends_on:
                self.wake(other)

    # Waiting

    def _outcome(self, name: str) -> Outcome | None:
        """How a name ended up, or None while it is on its way."""
        stored = self._world.objects.get(name)
        if stored is None:
            return Outcome(True, "Deleted", "")
        summary = summarize(stored, self._world.objects.status(name))
        if summary.verdict is Verdict.MOVING:
            return None
        return Outcome(summary.verdict is Verdict.READY, summary.reason, summary.message)

    def _late(self, name: str, timeout: float) -> Outcome:
        ready = find_condition(self._world.objects.status(name).conditions, "Ready")
        return Outcome(
            False, "Timeout", f"not Ready after {timeout:.0f} s" + (f": {ready.message}" if ready else "")
        )
