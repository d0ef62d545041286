"""The controller: triggers and workers of each kind, and how long they run.

`run` runs until it is stopped; `converge` works on a few names until each is done, which `vaultctl apply` uses without a
controller. Both end between operations, and containers keep running.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
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
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Kind, Ref, ref_labelled
from reconciler.api.reasons import Reason
from reconciler.controller.loop import triggers
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.draining import settle
from reconciler.controller.loop.election import Election
from reconciler.controller.loop.following import SourceFollower, SourceOptions
from reconciler.controller.loop.keeping import Keeping
from reconciler.controller.loop.lease import lease
from reconciler.controller.loop.workers import Reconciler, Workers
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.service import reconcile
from reconciler.controller.reconcile.world import World
from reconciler.controller.report.outcome import Outcome, Progress, Report, counts_of
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.store.base import EventType

CONVERGE_RESYNC: Final = 5.0
"""Seconds between two checks by `converge` of all its names."""

JOIN_SECONDS: Final = 30.0
"""How long a stop waits for passes that are under way."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Carrying:
    """What has files of the state directory follow the controller, and the `directories` where these are now."""

    keeping: Keeping
    directories: Callable[[], Sequence[Path]]


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
        others: Sequence[Reconciler] = (),
        election: Election | None = None,
        keeping: Keeping | None = None,
        carrying: Carrying | None = None,
    ) -> None:
        """`others` are the reconcilers of the kinds besides VaultService, which `world` is for. `election`: this controller
        only acts while it holds the lease. `keeping` has the objects follow it, `carrying` files of its state directory.
        """
        self._world = world
        self._plugins = plugins
        self._state_dir = state_dir
        self._recorder = recorder
        self._worker_count = workers
        self._resync = resync
        self._on_progress = on_progress or (lambda progress: None)
        services = Reconciler(VAULT_SERVICE, world.objects, world.records, partial(reconcile, world=world))
        self._reconcilers = {each.kind: each for each in (services, *others)}
        keep: Callable[[Ref], None] = (lambda ref: keeping.keep(ref.label)) if keeping else lambda ref: None
        self._workers = {
            kind: Workers(each, state_dir, recorder, backoff, self._after, world.now, world.require, keep)
            for kind, each in self._reconcilers.items()
        }
        self._stop = threading.Event()
        self._follower = SourceFollower(following, world.objects, self._wake_due, world.now, self._stop)
        self._passed = threading.Condition()
        self._converged: set[Ref] = set()
        self._streamed = False
        self._election = election
        self._resigned = threading.Event()
        self._taking_part: threading.Thread | None = None
        self._keeping = keeping
        self._carrying = carrying

    # Running

    def run(self, stop: threading.Event) -> None:
        """Keep every object as its spec says until `stop` is set. Raises LeaseTakenError for a second controller."""
        with lease(self._state_dir / "controller.lock"):
            for kind in self._reconcilers:
                names, wake = partial(self._names, kind), partial(self._wake_named, kind)
                directory, changed = self._state_dir / kind.directory, partial(self._objects_changed, kind)
                self._start(triggers.watch_objects, directory, changed, self._stop)
                self._start(triggers.resync_each, names, wake, self._resync, self._stop)
            self._start(self._world.engine.sweep)
            self._start(triggers.watch_plugins, self._plugins, self.wake_all, self._stop)
            for source in self._follower.sources:
                self._start(self._follower.follow, source)
            if self._carrying:
                self._start(triggers.watch_files, self._carrying.directories, self._carry, self._stop)
            self._start_work()
            self._stand_for_election(self.wake_all)
            self.wake_all()
            stop.wait()
            self._end()

    def converge(self, refs: Collection[Ref], timeout: float) -> Mapping[Ref, Outcome]:
        """Work on these objects until each is Ready, deleted or failed for good, or `timeout` seconds are over, or it is
        known that another controller acts.
        """
        self._start_work()
        self._stand_for_election(partial(self._wake_each, refs))
        self._wake_due(refs)
        # Without a resync, a lost event would go unnoticed until the timeout.
        self._start(triggers.resync, partial(self._wake_each, refs), CONVERGE_RESYNC, self._stop)
        deadline = time.monotonic() + timeout
        outcomes: dict[Ref, Outcome] = {}
        with self._passed:
            while True:
                outcomes = {ref: outcome for ref in refs if (outcome := self._outcome(ref))}
                left = deadline - time.monotonic()
                if len(outcomes) == len(refs) or left <= 0 or (self._election and self._election.is_hopeless):
                    break
                self._passed.wait(left)
        self._end()
        return {ref: outcomes.get(ref) or self._late(ref, timeout) for ref in refs}

    def wake(self, ref: Ref) -> None:
        """Queue a pass over this object. One whose kind has no reconciler here is left to a newer release."""
        if workers := self._workers.get(ref.kind):
            workers.wake(ref.name)

    def _wake_due(self, refs: Collection[Ref]) -> None:
        """Also what follows their kinds: a file that one of them names may have changed, and no object with it."""
        self._wake_each(refs)
        for kind in {ref.kind for ref in refs}:
            self._wake_followers(kind)

    def wake_all(self) -> None:
        """Queue a pass over each object."""
        for kind in self._reconcilers:
            self._wake_kind(kind)

    def _wake_kind(self, kind: Kind) -> None:
        for name in self._names(kind):
            self._wake_named(kind, name)

    def _objects_changed(self, kind: Kind) -> None:
        self._wake_kind(kind)
        self._wake_followers(kind)

    def _wake_followers(self, kind: Kind) -> None:
        for other, each in self._reconcilers.items():
            if kind in each.follows:
                for name in self._names(other):
                    self._workers[other].follow(name)

    def _wake_named(self, kind: Kind, name: str) -> None:
        self.wake(Ref(kind, name))

    def _names(self, kind: Kind) -> tuple[str, ...]:
        try:
            return self._reconcilers[kind].objects.names()
        except VaultError as error:
            _log.error("%s", error)
            return ()

    def _wake_each(self, refs: Collection[Ref]) -> None:
        for ref in refs:
            self.wake(ref)

    # Several controllers

    def _stand_for_election(self, wake: Callable[[], None]) -> None:
        """Take part in the election, and `wake` what is due whenever this controller begins to act, or ceases to."""
        if self._election is None:
            return

        def changed(acts: bool, why: str) -> None:
            _log.log(logging.INFO if acts else logging.WARNING, "%s", why)
            reason = Reason.LEASE_HELD if acts else Reason.STANDBY
            kind: EventType = "Normal" if acts else "Warning"
            self._world.records.record_event("", kind, reason, why, self._world.now())
            if acts:
                # What another controller has kept may be older than the manifests here.
                self._start(self._follower.look_again)
                self._start(self._carry)
            wake()

        self._election.changed = changed
        self._election.gained = self._take_over
        self._taking_part = threading.Thread(target=self._take_part, name="election", daemon=True)
        self._taking_part.start()

    def _take_over(self) -> None:
        # Objects first: certificates have their place beside their gateway.
        for each in (self._keeping, self._carrying and self._carrying.keeping):
            if each:
                each.take_over()

    def _carry(self) -> None:
        """Keep files of the state directory as they are now, if this controller acts."""
        if self._carrying and self._election and self._election.acts:
            try:
                self._carrying.keeping.keep_all()
            except VaultError as error:
                # The next look finds the same difference.
                _log.warning("the state directory is not kept in the Swarm as it is now: %s", error)

    def _take_part(self) -> None:
        assert self._election is not None
        while not self._resigned.is_set():
            try:
                self._election.run(self._resigned)
            except Exception:
                _log.exception("the election ended and is started again")
                self._resigned.wait(1.0)

    # State

    @property
    def is_live(self) -> bool:
        """Whether all workers are alive."""
        return all(each.is_live for each in self._workers.values())

    @property
    def is_loaded(self) -> bool:
        """Whether a source was read, or none is followed."""
        return self._follower.is_loaded

    def queues(self) -> tuple[QueueSnapshot, ...]:
        """The queue of each kind and its workers right now."""
        return tuple(each.snapshot() for each in self._workers.values())

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
        self._start(triggers.watch_proxy, self._world.proxy, self._notice, self._stop)
        for workers in self._workers.values():
            workers.start(self._start, self._worker_count)

    def _notice(self, label: str) -> None:
        """Something happened to a container or a server; it may belong to the controller of another state directory."""
        ref = ref_labelled(label)
        if ref and ref.kind in self._reconcilers and ref.name in self._names(ref.kind):
            self.wake(ref)

    def _missed_events(self) -> None:
        # At the first opening no event was missed, but changes may have happened before the stream existed.
        if self._streamed:
            self._recorder.add(catalog.EVENT_STREAM_RECONNECTS)
        self._streamed = True
        self.wake_all()

    def _end(self) -> None:
        self._stop.set()
        for workers in self._workers.values():
            workers.close()
        deadline = time.monotonic() + JOIN_SECONDS
        for workers in self._workers.values():
            workers.join(deadline)
        # The passes under way were allowed to end, so the lease was renewed until now.
        self._resigned.set()
        if self._taking_part and self._election:
            self._taking_part.join(JOIN_SECONDS)
            self._carry()
            if not any(each.snapshot().active_workers for each in self._workers.values()):
                self._election.give_back()

    # After a pass

    def _after(self, ref: Ref, result: Result | None) -> None:
        self._tell(ref, result.did if result else "")
        if result is None:
            self._converged.discard(ref)
            return
        self._wake_each(result.wakes)
        if result.drains:
            self._settle_nodes()
        if result.did or result.gone:
            self._wake_followers(ref.kind)
        if not result.converged:
            self._converged.discard(ref)
        elif ref not in self._converged:
            # What waits for it was told when it converged; at rest each pass finds the same.
            self._converged.add(ref)
            self._wake_dependants(ref)

    def _settle_nodes(self) -> None:
        try:
            if self._election:
                self._election.require()
            gateways = self._world.objects.of(VAULT_GATEWAY)
            settle(self._world.engine.nodes, gateways, self._world.records, self._world.now())
        except VaultError as error:
            # The next pass sees that node again.
            _log.warning("a node that is drained could not be left to the engine: %s", error)

    def _tell(self, ref: Ref, did: str) -> None:
        try:
            status = self._reconcilers[ref.kind].objects.status(ref.name)
        except VaultError:
            return
        reconciling = find_condition(status.conditions, "Reconciling")
        ready = find_condition(status.conditions, "Ready")
        message = (reconciling.message if reconciling else "") or (ready.message if ready else "")
        self._on_progress(Progress(ref.label, counts_of(status), message, did))
        with self._passed:
            self._passed.notify_all()

    def _wake_dependants(self, ref: Ref) -> None:
        for kind, each in self._reconcilers.items():
            for name in self._names(kind):
                try:
                    stored = each.objects.get(name)
                except VaultError as error:
                    # Its own pass reports the error; the others must still be queued.
                    _log.debug("%s: %s", Ref(kind, name).label, error)
                    continue
                if stored and ref in stored.resource.waits_for:
                    self.wake(stored.ref)

    # Waiting

    def _outcome(self, ref: Ref) -> Outcome | None:
        """The outcome of an object, or None while it is in progress."""
        objects = self._reconcilers[ref.kind].objects
        stored = objects.get(ref.name)
        if stored is None:
            return Outcome(True, Reason.DELETED, "")
        summary = summarize(stored, objects.status(ref.name))
        if summary.verdict is Verdict.MOVING:
            return None
        return Outcome(summary.verdict is Verdict.READY, summary.reason, summary.message)

    def _late(self, ref: Ref, timeout: float) -> Outcome:
        if self._election and self._election.is_hopeless:
            return Outcome(False, Reason.STANDBY, self._election.explanation)
        ready = find_condition(self._reconcilers[ref.kind].objects.status(ref.name).conditions, "Ready")
        return Outcome(
            False,
            Reason.TIMED_OUT,
            f"not Ready within {timeout:g} s" + (f": {ready.message}" if ready else ""),
        )
