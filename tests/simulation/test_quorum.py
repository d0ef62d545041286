"""No history of a Swarm that is cut breaks a promise, and mistakes in what keeps two controllers apart are found.

QUORUMS=n lives through more or fewer of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.controller.loop import election
from reconciler.controller.loop.election import LEASE_SECONDS, Election
from reconciler.controller.reconcile import executor
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Health
from reconciler.core.desired.stack import Role
from reconciler.core.plan import jobs
from reconciler.core.plan.operations import StopContainer
from reconciler.engines.memory.machine import Machine, MemoryContainer
from reconciler.engines.swarm.lease import SwarmLease
from reconciler.proxy.remote.nodes import Nodes
from reconciler.web.agent.terms import Terms
from tests.simulation.many import quietly
from tests.simulation.quorum import live_through
from tests.simulation.story import violates

HISTORIES = int(os.environ.get("QUORUMS", "40"))
SEEDS = (*range(5180, 5200), *range(5000, 6000))
"""A thousand histories find each mistake more than once; in the first twenty of these the rarest one comes soon."""

Mutate = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.promise


@pytest.mark.long
@pytest.mark.timeout(0)
def test_no_history_of_a_swarm_that_is_cut_breaks_a_promise() -> None:
    with quietly():
        lived = [live_through(seed) for seed in range(HISTORIES)]
    assert sum(each.cuts for each in lived) > HISTORIES
    assert sum(each.taken for each in lived) > HISTORIES // 4


_write, _require = SwarmLease.write, Election.require
_election_write = Election._write
_execute = executor._execute
_run = jobs._run
_stop = Machine.stop


def one_acts_after_its_lease_has_run_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Election, "acts", property(lambda election: election._term > 0))
    patch.setattr(Election, "require", lambda election: LEASE_SECONDS)


def one_acts_a_little_longer_than_it_may(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "ACT_SECONDS", 20.0)


def calls_last_longer_than_the_lease(patch: pytest.MonkeyPatch) -> None:
    def require(election: Election) -> float:
        _require(election)
        return 30.0

    patch.setattr(Election, "require", require)


def changes_of_haproxy_last_longer_than_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Nodes, "change_until", lambda nodes, until: until)


def connections_to_engines_last_longer_than_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Election, "is_over", False)


def one_takes_over_too_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "PATIENCE_SECONDS", 8.0)


def one_does_not_wait_for_calls_that_were_begun(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "PATIENCE_SECONDS", election.ACT_SECONDS * 1.05)


def an_agent_does_not_check_the_term(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Terms, "admit", lambda terms, term: None)


def a_write_is_no_compare_and_swap(patch: pytest.MonkeyPatch) -> None:
    def write(record: SwarmLease, before: Any, *known: Any) -> bool:
        return _write(record, record.read() or before, *known)

    patch.setattr(SwarmLease, "write", write)


def the_time_of_a_write_is_that_of_its_answer(patch: pytest.MonkeyPatch) -> None:
    def write(election: Election, lease: Any) -> None:
        before = election._written
        _election_write(election, lease)
        if election._written != before:
            election._written = election._clock()

    patch.setattr(Election, "_write", write)


def the_wall_clock_decides(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "boot_clock", lambda: vars(election)["time"].time())


def time_that_a_machine_was_suspended_does_not_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "boot_clock", lambda: vars(election)["time"].monotonic())


def calls_do_not_ask_whether_they_may(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        executor,
        "_execute",
        lambda operations, carry_out, clock, require: _execute(operations, carry_out, clock, lambda: None),
    )
    patch.setattr(Election, "require", lambda election: LEASE_SECONDS)


def a_job_that_is_out_of_reach_is_run_again(patch: pytest.MonkeyPatch) -> None:
    def run(workload: Any, instance: Any, wait: float) -> Any:
        if instance.container.health is Health.UNHEALTHY:
            yield StopContainer.on(instance.container, Cause.DEAD, grace=workload.stop_grace, detail="")
        else:
            yield from _run(workload, instance, wait)

    patch.setattr(jobs, "_run", run)
    # Nor does the engine wait for what it cannot reach.
    patch.setattr(Machine, "stop", _stop_as_ended)


def _stop_as_ended(machine: Machine, container: MemoryContainer, grace: float) -> None:
    role, container.role = container.role, Role.DEPENDENCY
    _stop(machine, container, grace)
    container.role = role


MUTATIONS: tuple[Mutate, ...] = (
    one_acts_after_its_lease_has_run_out,
    one_acts_a_little_longer_than_it_may,
    calls_last_longer_than_the_lease,
    changes_of_haproxy_last_longer_than_the_lease,
    connections_to_engines_last_longer_than_the_lease,
    one_takes_over_too_early,
    one_does_not_wait_for_calls_that_were_begun,
    an_agent_does_not_check_the_term,
    a_write_is_no_compare_and_swap,
    the_time_of_a_write_is_that_of_its_answer,
    the_wall_clock_decides,
    time_that_a_machine_was_suspended_does_not_count,
    calls_do_not_ask_whether_they_may,
    a_job_that_is_out_of_reach_is_run_again,
)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__.replace("_", " "))
def test_each_is_caught(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with quietly():
        assert any(violates(live_through, seed) for seed in SEEDS)
