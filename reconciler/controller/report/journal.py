"""Records what passes did: events for people, deaths for the back-off, counts for Prometheus, lines for the log.

It cannot fail a pass, and affects the next one only through the recorded deaths.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from metrics import catalog
from metrics.recorder import Recorder
from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.api.model import ApiModel
from reconciler.api.reasons import Reason
from reconciler.controller.report import trace
from reconciler.controller.report.executed import Executed
from reconciler.controller.report.recorded import is_towards
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.progress import Failure
from reconciler.core.assess.unkept import unkept
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.gateway_operations import (
    ChangeRoutes,
    ConfigureGateway,
    DisconnectNetwork,
    DrainPool,
    EmptyPool,
    NameSlots,
    OnNode,
)
from reconciler.core.plan.operations import (
    AddServer,
    ConfigureProxy,
    ContainerOperation,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    RemoveContainer,
    SetWeight,
    StartContainer,
    StopContainer,
)
from reconciler.store.base import EventType, Records, Rejection

ROUTINE: Final = (
    *(AddServer, SetWeight, DrainServer, DeleteServer, ConfigureProxy, StartContainer),
    *(ChangeRoutes, ConfigureGateway, DisconnectNetwork, DrainPool, NameSlots),
)
"""Steps of a change that has its own event; they are logged and cause no event."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Rollout:
    """The rollout that a service is in or was in last; `started` is None when it is over. Read again after a restart."""

    revision: str
    number: int
    started: datetime | None


class Journal:
    """The journal of one controller, for objects of one kind, which `records` are of. Threads may share it."""

    def __init__(self, records: Records, recorder: Recorder, kind: Kind = VAULT_SERVICE) -> None:
        self._kind = kind
        self._records = records
        self._recorder = recorder
        self._rollouts: dict[str, _Rollout] = {}
        self._last_words: dict[str, str] = {}
        self._noticed: dict[str, frozenset[tuple[Reason, str]]] = {}

    def executed(
        self, stack: Stack, call: Executed, words: Mapping[str, str], commit: str, now: datetime
    ) -> None:
        """One call of a pass has ended. `words`: the end of the log of each container that died, by ID."""
        result = catalog.ERROR if call.error else catalog.SUCCESS
        for operation in call.operations:
            _log.info("%s", operation, extra={"service": stack.label, "seconds": round(call.seconds, 6)})
            self._recorder.add(
                catalog.OPERATIONS,
                name=stack.label,
                kind=operation.kind,
                cause=operation.cause.value,
                result=result,
                exemplar=trace.exemplar(),
            )
            self._recorder.observe(
                catalog.OPERATION_DURATION, call.seconds, kind=operation.kind, exemplar=trace.exemplar()
            )
            if isinstance(operation, CreateReplicas) and operation.cause is Cause.ROTATION:
                self._recorder.add(catalog.ROTATIONS, operation.count, name=stack.label, result=result)
            if not call.error:
                self._remember(stack, operation, words, commit, now)

    def failed(self, service: str, reason: Reason, message: str, now: datetime) -> None:
        """A pass ended in an error, or found drift that it must not repair."""
        _log.warning("%s: %s", reason, message, extra={"service": service})
        self._records.record_event(service, "Warning", reason, message, now)

    def history_missing(self, stack: Stack, now: datetime) -> None:
        """Replicas run, and no revision of theirs is known here."""
        message = "replicas run that are older than the history known here: earlier events and revisions are missing"
        self._records.record_event(stack.name, "Warning", Reason.HISTORY_MISSING, message, now)

    def begin(self, stack: Stack, spec: ApiModel, commit: str, now: datetime) -> None:
        """A pass has this revision as its target, for the first time or again."""
        rollout = self._rollouts.get(stack.name)
        if rollout is None:
            self._introduce(stack)
        if rollout is None or rollout.revision != stack.revision:
            if rollout is not None and rollout.started:
                self._time(rollout.started, "superseded", now)
            text = spec.model_dump_json(by_alias=True)
            newest = self._records.newest(stack.name)
            if newest and newest.result == "Complete" and is_towards(newest, stack, spec):
                self._rollouts[stack.name] = _Rollout(stack.revision, newest.number, None)
                return
            number = self._records.open_revision(stack.name, stack.revision, text, "spec", commit, now)
            newest = self._records.newest(stack.name)
            unfinished = newest is not None and newest.number == number and not newest.result
            started = newest.created_at if newest and unfinished else None
            self._rollouts[stack.name] = _Rollout(stack.revision, number, started)

    def interrupt(self, stack: Stack, now: datetime) -> None:
        """The stack is stopped. A rollout that was under way is not judged by that time, and begins anew afterwards."""
        rollout = self._rollouts.pop(stack.name, None)
        if rollout is not None and rollout.started:
            self._time(rollout.started, "superseded", now)
        newest = self._records.newest(stack.name)
        if newest is not None and not newest.result:
            self._records.finish_revision(stack.name, newest.number, "Superseded", now)

    def began(self, stack: Stack) -> datetime | None:
        """When the current rollout to this revision started, if there is one."""
        rollout = self._rollouts.get(stack.name)
        return rollout.started if rollout and rollout.revision == stack.revision else None

    def complete(self, stack: Stack, now: datetime) -> None:
        """Everything is as the spec wants it."""
        rollout = self._rollouts.get(stack.name)
        if rollout is None or rollout.revision != stack.revision or rollout.started is None:
            return
        self._records.finish_revision(stack.name, rollout.number, "Complete", now)
        self._rollouts[stack.name] = replace(rollout, started=None)
        self._time(rollout.started, "completed", now)
        self._tell(stack, "Normal", Reason.ROLLOUT_COMPLETE, f"all replicas run {stack.revision}", now)

    def completed(self, assessment: Assessment) -> None:
        """Remember each job that has ended well, so that it is never run again."""
        for job in assessment.completed:
            self._records.record_completion(assessment.stack.name, job.name, job.revision, assessment.now)

    def reject(self, stack: Stack, failure: Failure, log: str, commit: str, now: datetime) -> None:
        """A revision is rejected; it is not tried again until the spec changes."""
        rollout = self._rollouts.pop(stack.name, None)
        words = log or self._last_words.pop(stack.name, "")
        if rollout is not None:
            why = Rejection(failure.reason, failure.message, words.rstrip())
            self._records.finish_revision(stack.name, rollout.number, "RolledBack", now, why)
            if rollout.started:
                self._time(rollout.started, "rolled_back", now)
        self._recorder.add(catalog.ROLLBACKS, name=stack.label)
        message = _with_last_words(f"{failure.reason}: {failure.message}", words)
        _log.warning("rolled back: %s", message, extra={"service": stack.label})
        self._tell(stack, "Warning", Reason.ROLLED_BACK, message, now, commit)

    def noticed(self, assessment: Assessment, more: Sequence[tuple[Reason, str]] = ()) -> None:
        """Record once what no pass can repair: refused routes, advice on the fragment, moved tags, data that no mount
        keeps, and `more`. Advice is not a Warning: it was reported when the manifest was validated.
        """
        stack = assessment.stack
        found: list[tuple[EventType, Reason, str]] = [
            *_of_routes(stack),
            *(("Normal", Reason.ADMISSION_WARNING, text) for text in stack.warnings),
            *(("Warning", Reason.IMAGE_MOVED, text) for _, text in assessment.moved),
            *(("Warning", Reason.DATA_NOT_KEPT, text) for text in unkept(assessment)),
            *(("Warning", reason, text) for reason, text in more),
        ]
        self._tell_once(stack, found, assessment.now)

    def told(self, stack: Stack, now: datetime) -> None:
        """Record once which routes no gateway serves, for a stack that was not observed."""
        self._tell_once(stack, _of_routes(stack), now)

    def _tell_once(self, stack: Stack, found: list[tuple[EventType, Reason, str]], now: datetime) -> None:
        for type_, reason, text in found:
            if (reason, text) not in self._noticed.get(stack.name, ()):
                _log.warning("%s: %s", reason, text, extra={"service": stack.label})
                self._tell(stack, type_, reason, text, now)
        self._noticed[stack.name] = frozenset((reason, text) for _, reason, text in found)

    def forget(self, name: str) -> None:
        """An object was deleted."""
        self._noticed.pop(name, None)
        self._rollouts.pop(name, None)
        self._last_words.pop(name, None)
        self._records.forget(name)
        self._recorder.forget(Ref(self._kind, name).label)

    def _time(self, started: datetime, result: str, now: datetime) -> None:
        seconds = (now - started).total_seconds()
        self._recorder.observe(catalog.ROLLOUT_DURATION, seconds, result=result, exemplar=trace.exemplar())

    def _introduce(self, stack: Stack) -> None:
        """Let the counters of a service start at 0, so that the first death or rollback is an increase."""
        self._recorder.introduce(stack.label)
        for workload in stack.web:
            self._recorder.add(catalog.REPLICA_RESTARTS, 0, name=stack.label, workload=workload.name)

    def _remember(
        self, stack: Stack, operation: Operation, words: Mapping[str, str], commit: str, now: datetime
    ) -> None:
        if death := death_of(operation):
            self._died(stack, death, words.get(death.container, ""), now)
        if isinstance(operation, StopContainer | EmptyPool) and operation.cut:
            self._recorder.add(catalog.SESSIONS_CUT, operation.cut, name=stack.label)
        if not isinstance(bare(operation), ROUTINE):
            self._tell(stack, "Normal", Reason(operation.kind), str(operation), now, commit)

    def _tell(
        self, stack: Stack, type_: EventType, reason: Reason, message: str, now: datetime, commit: str = ""
    ) -> None:
        self._records.record_event(
            stack.name, type_, reason, message, now, revision=stack.revision, commit=commit
        )

    def _died(self, stack: Stack, operation: ContainerOperation, words: str, now: datetime) -> None:
        revision = next((w.revision for w in stack.workloads if w.name == operation.workload), "")
        self._records.record_death(stack.name, operation.workload, revision, now, operation.detail)
        told = _with_last_words(f"{operation.name} {operation.detail}", words)
        self._tell(stack, "Warning", Reason.REPLICA_DIED, told, now)
        self._last_words[stack.name] = words
        self._recorder.add(catalog.REPLICA_RESTARTS, name=stack.label, workload=operation.workload)


def _of_routes(stack: Stack) -> list[tuple[EventType, Reason, str]]:
    return [("Warning", reason, text) for reason, text in (stack.routed.problems if stack.routed else ())]


def bare(operation: Operation) -> Operation:
    """The operation, whichever node it is for."""
    return operation.operation if isinstance(operation, OnNode) else operation


def death_of(operation: Operation) -> ContainerOperation | None:
    """The operation, if it answers an unrequested end of a container."""
    operation = bare(operation)
    if isinstance(operation, RemoveContainer | StartContainer):
        return operation if operation.cause is Cause.DEAD else None
    if isinstance(operation, StopContainer):
        return operation if operation.cause is Cause.UNHEALTHY else None
    return None


def _with_last_words(sentence: str, words: str) -> str:
    return f"{sentence}; its last words:\n{words.rstrip()}" if words.strip() else sentence
