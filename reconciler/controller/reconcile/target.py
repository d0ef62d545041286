"""The target of a pass: the spec, or the last good revision while the spec's own cannot serve.

A rollback is only a choice of target: the same loop rolls forward and back, from any state. Each pass makes the choice
again from the history, until the spec changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from reconciler.api import ManifestError, PermanentError, VaultService
from reconciler.api.reasons import Reason
from reconciler.api.revisioned import with_revision_of
from reconciler.controller.report.recorded import is_towards, spec_of
from reconciler.core.desired.stack import Stack
from reconciler.store.base import Records, Rejection, RevisionRecord

Build = Callable[[VaultService], Stack]


@dataclass(frozen=True, slots=True)
class Target:
    """The target stack; `reason` and `problem` say why it is not the spec's own, and are empty when it is.
    `evidence` is the end of a failed container's log, if there is one.
    """

    stack: Stack
    reason: str = ""
    problem: str = ""
    evidence: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether this is the spec's own stack."""
        return not self.reason


def choose_target(service: VaultService, build: Build, rebuild: Build, records: Records) -> Target:
    """The target stack of a pass; `rebuild` builds former specs. Raises VaultError when there is not even a former one."""
    try:
        wanted = build(service)
    except (PermanentError, ManifestError) as error:
        former = former_good(service, rebuild, records)
        if former is None:
            raise
        cause = error.reason if error.reason is Reason.CANNOT_DECRYPT else Reason.SPEC_INVALID
        return Target(former, cause, str(error))
    if wanted.is_stopped:
        # It brings up no revision, good or bad.
        return Target(wanted)
    newest = records.newest(service.name)
    if newest and newest.result == "RolledBack" and is_towards(newest, wanted, service.spec):
        former = former_good(service, rebuild, records)
        if former is not None and former.revision != wanted.revision:
            return _rolled_back(newest, former)
    return Target(wanted)


def _rolled_back(rejected: RevisionRecord, former: Stack) -> Target:
    """A rollback to a former stack, with its reason."""
    why = rejected.rejection or Rejection("", "")
    cause = f"{why.reason}: {why.message}" if why.reason else "it failed"
    problem = f"{former.revision} serves on; {rejected.revision} was given up: {cause}"
    return Target(former, Reason.ROLLED_BACK, problem, why.evidence)


def former_good(service: VaultService, build: Build, records: Records) -> Stack | None:
    """The stack of the newest revision that was complete, with the present numbers and rules; None if there is none.

    Its jobs are done: a rollback never runs one again.
    """
    record = records.last_good(service.name)
    if record is None:
        return None
    try:
        spec = with_revision_of(spec_of(record), service.spec)
        return build(service.model_copy(update={"spec": spec})).with_done(lambda job: True)
    except (ValidationError, PermanentError, ManifestError):
        return None
