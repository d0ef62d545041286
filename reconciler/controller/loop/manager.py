"""The controller: triggers and workers of each kind, and how long they run.

`run` runs until it is stopped; `converge` works on a few names until each is done, which `vaultctl apply` uses without a
controller. Both end between operations, and containers keep running.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from metrics import catalog
from metrics.recorder import Recorder
from metrics.snapshots import QueueSnapshot
from reconciler.api import (
    VaultError,
    find_condition,
)
from reconciler.api.kinds import VAULT_SERVICE
from reconciler.api.reasons import Reason
from reconciler.controller.loop import triggers
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.following import SourceFollower, SourceOptions
from reconciler.controller.loop.lease import lease
from reconciler.controller.loop.workers import Reconciler, Workers
from reconciler.controller.reconcile.service import Result, reconcile
from reconciler.controller.reconcile.world import World
from reconciler.controller.report.outcome import Outcome, Progress, Report
from reconciler.controller.report.verdict import Verdict, summarize

CONVERGE_RESYNC: Final = 5.0
"""Seconds between two checks by `converge` of all its names."""

JOIN_SECONDS: Final = 30.0
"""How long a stop waits for passes that are under way."""

_log = logging.getLogger(__name__)


class Controller:
    """The loop of one process."""

    def __init__(
        self,
        world: World,
        state_dir: Path,
        recorder: Recorder,
        backoff: Backoff,
        *,
        following: SourceOptions,
        workers: int,
        resync: float,
        on_progress: Report | None = None,
        plugins: Callable[[], object] = lambda: None,
    ) -> None:
        self._world = world
        self._plugins = plugins
        self._state_dir = state_dir
        self._recorder = recorder
        self._worker_count = workers
        self._resync = resync
        self._on_progress = on_progress or (lambda progress: None)
        service = Reconciler(VAULT_SERVICE, partial(reconcile, world=world), self._failed)
        self._services = Workers(service, state_dir, recorder, backoff, self._after)
        self._stop = threading.Event()
        self._follower = SourceFollower(following, world.objects, self.wake, world.now, self._stop)
        self._passed = threading.Condition()
        self._streamed = False

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
        """Work on these names until each is Ready, deleted or failed for good, or `timeout` seconds are over."""
        self._start_work()
        self._wake_each(names)
        # Without a resync, a lost event would go unnoticed until the timeout.
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
        """Queue a pass over this VaultService."""
        self._services.wake(name)

    def wake_all(self) -> None:
        """Queue a pass over each VaultService."""
        try:
            names = self._world.objects.names()
        except VaultError as error:
            _log.error("%s", error)
            return
        self._wake_each(names)

    def _wake_each(self, names: Collection[str]) -> None:
        for name in names:
            self.wake(name)

    # State

    @property
    def is_live(self) -> bool:
        """Whether all workers are alive."""
        return self._services.is_live

    @property
    def is_loaded(self) -> bool:
        """Whether a source was read, or none is followed."""
        return self._follower.is_loaded

    def queues(self) -> tuple[QueueSnapshot, ...]:
        """The queue of each kind and its workers right now."""
        return (self._services.snapshot(),)

    # Threads

    def _start(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(
            target=self._guarded, args=(target, *arguments), name=target.__name__, daemon=True
        )
        thread.start()
        return thread

    def _guarded(self, target: Callable[..., None], *arguments: object) -> None:
        """A trigger that ends by a defect is started again: the resync alone would be slow."""
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
        self._services.start(self._start, self._worker_count)

    def _notice(self, name: str) -> None:
        """Something happened to a container; it may belong to the controller of another state directory."""
        if name in self._world.objects.names():
            self.wake(name)

    def _missed_events(self) -> None:
        # At the first opening no event was missed, but changes may have happened before the stream existed.
        if self._streamed:
            self._recorder.add(catalog.EVENT_STREAM_RECONNECTS)
        self._streamed = True
        self.wake_all()

    def _end(self) -> None:
        self._stop.set()
        self._services.close()
        self._services.join(time.monotonic() + JOIN_SECONDS)

    # After a pass

    def _after(self, name: str, result: Result | None) -> None:
        self._tell(name, result.did if result else "")
        if result and result.converged:
            self._wake_dependants(name)

    def _failed(self, name: str, error: Exception) -> None:
        if isinstance(error, VaultError):
            reason, message = error.reason, str(error)
        else:
            reason, message = Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
        self._world.journal.failed(name, reason, message, self._world.now())

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
                # Its own pass reports the error; the others must still be queued.
                _log.debug("%s: %s", other, error)
                continue
            if stored and name in stored.service.spec.depends_on:
                self.wake(other)

    # Waiting

    def _outcome(self, name: str) -> Outcome | None:
        """The outcome of a name, or None while it is in progress."""
        stored = self._world.objects.get(name)
        if stored is None:
            return Outcome(True, Reason.DELETED, "")
        summary = summarize(stored, self._world.objects.status(name))
        if summary.verdict is Verdict.MOVING:
            return None
        return Outcome(summary.verdict is Verdict.READY, summary.reason, summary.message)

    def _late(self, name: str, timeout: float) -> Outcome:
        ready = find_condition(self._world.objects.status(name).conditions, "Ready")
        return Outcome(
            False,
            Reason.TIMED_OUT,
            f"not Ready within {timeout:g} s" + (f": {ready.message}" if ready else ""),
        )
