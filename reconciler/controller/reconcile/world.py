"""The dependencies of a pass, and its observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.controller.reconcile.permission import always
from reconciler.core.assess.assessment import assess
from reconciler.core.assess.history import FORGET_AFTER, History
from reconciler.core.assess.observation import Observation
from reconciler.core.assess.sleep import asleep, sleeps
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.plan.planner import plan
from reconciler.core.plan.preview import Preview

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.controller.report.board import Board
    from reconciler.controller.report.journal import Journal
    from reconciler.engines.base import Engine
    from reconciler.proxy.base import Proxy
    from reconciler.store.base import Objects, Records


class SecretFileStore(Protocol):
    """Where the files of spec.secrets are on the host."""

    def provide(self, stack: Stack) -> None:
        """Write what the containers of a stack mount. Raises VaultError."""

    def tidy(self, stack: Stack) -> None:
        """Remove what no container of a converged stack mounts."""

    def forget(self, service: str) -> None:
        """Remove all of a service."""


class NoSecretFiles:
    """For worlds without a host."""

    def provide(self, stack: Stack) -> None:
        """There is nowhere to write to."""

    def tidy(self, stack: Stack) -> None:
        """There is nothing."""

    def forget(self, service: str) -> None:
        """There is nothing."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a pass can see and change; `now` gives aware UTC datetimes, `clock` seconds for durations.

    `rebuild` is `build` for a spec that was good, while one of its settings files cannot be read. `require` is called
    before each change, and raises VaultError when another controller may be acting.
    """

    objects: Objects
    records: Records
    engine: Engine
    proxy: Proxy
    build: Callable[[VaultService], Stack]
    rebuild: Callable[[VaultService], Stack]
    journal: Journal
    board: Board
    now: Callable[[], datetime]
    clock: Callable[[], float]
    secret_files: SecretFileStore = field(default_factory=NoSecretFiles)
    require: Callable[[], object] = always


def preview_of(stack: Stack, engine: Engine, proxy: Proxy, records: Records, now: datetime) -> Preview:
    """Observe the stack's engine and proxies, assess and plan; changes nothing. Raises VaultError."""
    completions = records.completions(stack.name) if stack.of(Role.JOB) else {}
    stack = stack.with_done(lambda job: not job.revisions.isdisjoint(completions.get(job.name, ())))
    seen = engine.observe(stack)
    observed = Observation(seen, proxy.observe(stack, seen.containers))
    if stack.idle is not None and sleeps(stack, observed, settled=_is_settled(stack, records)):
        stack = asleep(stack)
    revisions = {workload.name: workload.revisions for workload in stack.workloads}
    history = History(records.deaths(stack.name, revisions, now - FORGET_AFTER))
    assessment = assess(stack, observed, now)
    return Preview(assessment, history, plan(assessment, history, proxy.front))


def _is_settled(stack: Stack, records: Records) -> bool:
    """Whether this revision was complete once, and no rollout is under way."""
    newest, good = records.newest(stack.name), records.last_good(stack.name)
    return (
        newest is not None and bool(newest.result) and good is not None and good.revision in stack.revisions
    )
