"""Writes down what passes did: events for people, deaths for the back-off, counts for Prometheus, lines for the log.

Nothing in here can fail a pass or change what the next one does, except through the deaths that it remembers.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from metrics import catalog
from metrics.recorder import Recorder
from reconciler.controller.executor import Executed
from reconciler.core.plan import (
    AddServer,
    Cause,
    ConfigureProxy,
    ContainerOperation,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from reconciler.core.stack import Stack
from reconciler.store.base import Records

ROUTINE: Final = (AddServer, DrainServer, DeleteServer, ConfigureProxy, StartContainer)
"""Steps on the way of something that has an event of its own; they are logged, not told to people."""

_log = logging.getLogger(__name__)


class Journal:
    """The journal of one controller. Threads may share it."""

    def __init__(self, records: Records, recorder: Recorder) -> None:
        self._records = records
        self._recorder = recorder
        self._rollouts: dict[str, tuple[str, int]] = {}

    def executed(self, stack: Stack, call: Executed, commit: str, now: datetime) -> None:
        """One call of a pass has ended."""
        result = catalog.ERROR if call.error else catalog.SUCCESS
        for operation in call.operations:
            _log.info("%s", operation, extra={"service": stack.name})
            self._recorder.add(
                catalog.OPERATIONS,
                name=stack.name,
                kind=operation.kind,
                cause=operation.cause.value,
                result=result,
            )
            self._recorder.observe(catalog.OPERATION_DURATION, call.seconds, kind=operation.kind)
            if not call.error:
                self._remember(stack, operation, commit, now)
        if call.error:
            self.failed(stack.name, f"{call.operations[0].kind}Failed", str(call.error), now)

    def failed(self, service: str, reason: str, message: str, now: datetime) -> None:
        """A pass could not do something."""
        _log.warning("%s: %s", reason, message, extra={"service": service})
        self._records.record_event(service, "Warning", reason, message, now)

    def rollout(self, stack: Stack, spec: str, commit: str, now: datetime) -> None:
        """A pass goes towards this revision, for the first time or again."""
        if self._rollouts.get(stack.name, ("", 0))[0] != stack.revision:
            number = self._records.open_revision(stack.name, stack.revision, spec, "spec", commit, now)
            self._rollouts[stack.name] = (stack.revision, number)

    def complete(self, stack: Stack, now: datetime) -> None:
        """Everything is as the spec wants it."""
        revision, number = self._rollouts.get(stack.name, ("", 0))
        if revision == stack.revision and number:
            self._records.finish_revision(stack.name, number, "Complete", now)
            self._rollouts[stack.name] = (revision, 0)

    def forget(self, service: str) -> None:
        """A service is gone."""
        self._rollouts.pop(service, None)
        self._records.forget(service)
        self._recorder.forget(service)

    def _remember(self, stack: Stack, operation: Operation, commit: str, now: datetime) -> None:
        if _is_death(operation):
            assert isinstance(operation, ContainerOperation)
            self._died(stack, operation, now)
        if isinstance(operation, StopContainer) and operation.cut:
            self._recorder.add(catalog.SESSIONS_CUT, operation.cut, name=stack.name)
        if isinstance(operation, CreateReplicas) and operation.cause is Cause.ROTATION:
            self._recorder.add(catalog.ROTATIONS, name=stack.name, result=catalog.SUCCESS)
        if not isinstance(operation, ROUTINE):
            self._records.record_event(
                stack.name,
                "Normal",
                operation.kind,
                str(operation),
                now,
                revision=stack.revision,
                commit=commit,
            )

    def _died(self, stack: Stack, operation: ContainerOperation, now: datetime) -> None:
        revision = next((w.revision for w in stack.workloads if w.name == operation.workload), "")
        self._records.record_death(stack.name, operation.workload, revision, now, operation.detail)
        self._records.record_event(
            stack.name,
            "Warning",
            "ReplicaDied",
            f"{operation.name} {operation.detail}",
            now,
            revision=revision,
        )
        self._recorder.add(catalog.REPLICA_RESTARTS, name=stack.name, workload=operation.workload)


def _is_death(operation: Operation) -> bool:
    """Whether an operation answers the end of a container that nobody asked to end."""
    if isinstance(operation, RemoveContainer | StartContainer):
        return operation.cause is Cause.DEAD
    return isinstance(operation, StopContainer) and operation.cause is Cause.UNHEALTHY
