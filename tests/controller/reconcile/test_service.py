"""Passes over a world in memory: what is there afterwards, and what the status says of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import Status, find_condition
from reconciler.api.errors import PermanentError, Problem
from reconciler.controller.reconcile.service import reconcile
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.core.assess.diff import Difference, Kind
from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Stack
from reconciler.core.plan import preview
from reconciler.engines.errors import EngineError, ImageMissingError
from reconciler.engines.memory.machine import MemoryContainer
from reconciler.proxy.haproxy.steps import PORT_LOOK
from reconciler.proxy.memory import MemoryServer
from reconciler.sealed import SealedError
from reconciler.store.base import UnreadableError
from tests.controller.worlds import BEGINNING, MemoryWorld
from tests.simulation.services import NAME, build_stack


@pytest.fixture
def memory() -> MemoryWorld:
    return MemoryWorld()


def condition(status: Status, kind: str) -> tuple[str, str]:
    found = find_condition(status.conditions, kind)  # type: ignore[arg-type]
    assert found is not None
    return found.status, found.reason


def test_a_wish_comes_true(memory: MemoryWorld) -> None:
    stack = memory.wish(replicas=3)
    assert memory.converge().converged
    status = memory.objects.status(NAME)
    assert condition(status, "Ready") == ("True", "Serving")
    assert condition(status, "Reconciling")[0] == condition(status, "Stalled")[0] == "False"
    assert condition(status, "Degraded") == ("False", "AllServing")
    assert (status.replicas.desired, status.replicas.serving, status.replicas.updated) == (3, 3, 3)
    assert (status.revision, status.observed_generation) == (stack.revision, 1)


def test_on_the_way_the_status_says_what_goes_on(memory: MemoryWorld) -> None:
    memory.wish()
    memory.once()
    status = memory.objects.status(NAME)
    assert condition(status, "Ready") == ("False", "Progressing")
    assert condition(status, "Reconciling") == ("True", "Progressing")
    assert condition(status, "Degraded")[0] == "True"


def test_once_it_is_true_nothing_is_done(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    before = memory.objects.status(NAME)
    result = memory.once()
    assert (result.did, result.requeue_after) == ("", None)
    assert memory.objects.status(NAME) == before


@pytest.mark.parametrize("plugin", ["web", "plain", "single", "stateful", "separate"])
def test_every_sort_of_service_rolls(memory: MemoryWorld, plugin: str) -> None:
    memory.wish(plugin=plugin, drain=1.0)
    memory.converge()
    stack = memory.wish(plugin=plugin, version="2", drain=1.0)
    memory.converge()
    assert len(memory.web()) == 3
    assert {c.revision for c in memory.web()} <= {w.revision for w in stack.web}


def test_a_replica_that_dies_is_replaced_and_remembered(memory: MemoryWorld) -> None:
    stack = memory.wish()
    memory.converge()
    assert _deaths(memory, stack) == 0
    for killed in (1, 2):
        victim = memory.web()[0]
        memory.machine.kill(victim, by_hand=True)
        memory.converge()
        assert victim not in memory.web()
        assert len(memory.web()) == 3
        assert _deaths(memory, stack) == killed


def test_a_replica_that_is_replaced_on_purpose_is_no_death(memory: MemoryWorld) -> None:
    old = memory.wish()
    memory.converge()
    new = memory.wish(version="2")
    memory.converge()
    assert {c.revision for c in memory.web()} == {w.revision for w in new.web}
    assert _deaths(memory, old) == _deaths(memory, new) == 0


def _deaths(memory: MemoryWorld, stack: Stack) -> int:
    """How many deaths of web replicas of this revision are written down, for the back-off of later passes."""
    revisions = {web.name: frozenset({web.revision}) for web in stack.web}
    return sum(map(len, memory.records.deaths(NAME, revisions, BEGINNING - timedelta(1)).values()))


def test_a_replica_that_is_evicted_is_replaced_and_no_other(memory: MemoryWorld) -> None:
    memory.wish(replicas=3)
    memory.converge()
    before = {each.id for each in memory.web()}
    evicted = min(before)
    memory.objects.request_eviction(NAME, evicted, before, memory.now())
    memory.once()
    assert evicted in {each.id for each in memory.web()}, "it was removed before another one serves"
    memory.converge()
    after = {each.id for each in memory.web()}
    assert before - after == {evicted}
    assert len(after) == 3
    # The request is done: another pass does nothing.
    memory.converge()
    assert {each.id for each in memory.web()} == after


def test_a_suspended_service_is_left_alone(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    memory.wish(suspend=True, replicas=5)
    memory.machine.kill(memory.web()[0], by_hand=True)
    assert memory.once().did == ""
    assert condition(memory.objects.status(NAME), "Reconciling") == ("False", "Suspended")


def test_a_taken_port_is_said_and_nothing_is_half_started(memory: MemoryWorld) -> None:
    memory.engine.foreign_ports[8080] = "process nginx (pid 42)"
    memory.wish()
    memory.once()
    assert memory.machine.containers == {}
    status = memory.objects.status(NAME)
    assert condition(status, "Stalled") == ("True", "Blocked")
    ready = find_condition(status.conditions, "Ready")
    assert ready is not None
    assert "nginx" in ready.message
    assert memory.once().requeue_after == PORT_LOOK
    memory.engine.foreign_ports.clear()
    memory.converge()


def test_a_port_that_is_taken_is_looked_at_until_it_is_free(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    memory.engine.foreign_ports[8081] = "process nginx (pid 42)"
    memory.wish(port=8081)
    results = [memory.once() for _ in range(5)]
    assert results[-1].requeue_after is not None
    assert results[-1].requeue_after <= PORT_LOOK
    memory.engine.foreign_ports.clear()
    memory.converge()


def test_an_image_that_is_nowhere_stalls(memory: MemoryWorld) -> None:
    memory.engine.missing_images.add("web:1")
    memory.engine.unpullable.add("web:1")
    memory.wish()
    memory.once()
    with pytest.raises(ImageMissingError):
        memory.once()
    assert condition(memory.objects.status(NAME), "Stalled") == ("True", "ImageMissing")
    assert condition(memory.objects.status(NAME), "Ready") == ("False", "ImageMissing")


@pytest.mark.parametrize(
    "change", [{"version": "2"}, {"version": "2", "strategy": "Recreate"}, {"database": "2"}]
)
def test_while_an_image_is_pulled_what_runs_serves_on_and_is_healed(
    memory: MemoryWorld, change: dict[str, Any]
) -> None:
    memory.wish(plugin="stateful", replicas=2)
    memory.converge()
    before = {c.id for c in memory.machine.containers.values()}
    image = f"database:{change['database']}" if "database" in change else "stateful:2"
    memory.engine.missing_images.add(image)
    memory.engine.pull_seconds = 24.0
    memory.wish(plugin="stateful", replicas=2, **change)
    began = memory.time
    dead, told = None, set()
    while memory.time - began < 24:
        if dead is None and memory.time - began > 5:
            (dead,) = (c for c in memory.machine.containers.values() if c.workload == "database")
            memory.machine.kill(dead, by_hand=True)
        memory.once()
        assert {c.id for c in memory.machine.containers.values()} == before
        assert sum(s.up for s in _servers(memory)) == 2
        told.add(memory.objects.status(NAME).conditions[1].message)
        memory.time += 0.5
    assert f"image {image} is being pulled" in told
    assert dead is not None
    memory.converge()
    assert {c.id for c in memory.machine.containers.values()} != before


def test_a_revision_whose_image_is_nowhere_is_given_up_and_cost_nothing(memory: MemoryWorld) -> None:
    memory.wish(strategy="Recreate")
    memory.converge()
    kept = {c.id for c in memory.web()}
    memory.engine.missing_images.add("web:2")
    memory.engine.unpullable.add("web:2")
    bad = memory.wish(version="2", strategy="Recreate")
    for _ in range(10):
        memory.once()
        assert sum(s.up for s in _servers(memory)) == 3
    assert {c.id for c in memory.web()} == kept
    assert memory.is_rejected(bad)


def _servers(memory: MemoryWorld) -> list[MemoryServer]:
    stack = build_stack(memory.objects.get(NAME).resource)  # type: ignore[union-attr]
    (process,) = memory.proxy.processes(stack).values()
    return list(process.workers[0].servers.values())


def test_an_engine_that_fails_is_retried(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise EngineError("it is away")

    memory.wish()
    with monkeypatch.context() as patch:
        patch.setattr(memory.engine, "create", fail)
        with pytest.raises(EngineError):
            memory.once()
    status = memory.objects.status(NAME)
    assert condition(status, "Stalled") == ("False", "Retrying")
    assert condition(status, "Ready") == ("Unknown", "Engine")
    memory.converge()


def test_a_revision_that_gets_nowhere_is_given_up(memory: MemoryWorld) -> None:
    good = memory.wish()
    memory.converge()
    kept = {c.id for c in memory.web()}
    bad = memory.wish(version="never-ready")
    for _ in range(600):
        memory.once()
        memory.time += 0.5
    assert {c.id for c in memory.web()} == kept
    assert memory.is_rejected(bad)
    status = memory.objects.status(NAME)
    assert status.revision == good.revision
    assert condition(status, "Ready") == ("False", "RolledBack")
    assert condition(status, "Degraded") == ("True", "RolledBack")
    assert [r.result for r in memory.records.revisions(NAME)] == ["Complete", "RolledBack"]
    newest = memory.records.newest(NAME)
    assert newest is not None
    assert newest.rejection is not None
    assert newest.rejection.reason == "ProgressDeadlineExceeded"
    ready = find_condition(status.conditions, "Ready")
    assert ready is not None
    assert ready.message == (
        f"{good.revision} serves on; {bad.revision} was given up: "
        f"ProgressDeadlineExceeded: {newest.rejection.message}"
    )


def test_a_crash_loop_is_given_up_before_the_deadline(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    bad = memory.wish(version="crashes")
    began = memory.time
    while not memory.is_rejected(bad):
        memory.once()
        memory.time += 0.5
        assert memory.time < began + 119


def test_another_wish_ends_the_rejection(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    memory.wish(version="never-ready")
    for _ in range(400):
        memory.once()
        memory.time += 0.5
    stack = memory.wish(version="2")
    memory.converge()
    assert {c.revision for c in memory.web()} == {stack.web[0].revision}
    assert condition(memory.objects.status(NAME), "Ready") == ("True", "Serving")


def test_the_end_of_a_service(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful")
    memory.converge()
    memory.objects.request_deletion(NAME, False, memory.now())
    assert memory.once().gone
    assert memory.machine.containers == {}
    assert memory.engine.volumes == {"vault-files_data"}
    assert memory.objects.names() == ()
    assert memory.once().gone


def test_a_manifest_that_cannot_be_used_leaves_what_runs(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    memory.objects.mark_problem(NAME, "files.yaml:3: unknown field")
    memory.once()
    assert condition(memory.objects.status(NAME), "Stalled")[0] == "True"
    assert sum(c.state is State.RUNNING for c in memory.web()) == 3


def test_an_object_that_cannot_be_read_leaves_what_runs_and_says_so(
    memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.wish()
    memory.converge()

    def damaged(name: str) -> None:
        raise UnreadableError(f"{name} cannot be understood")

    monkeypatch.setattr(memory.objects, "get", damaged)
    with pytest.raises(UnreadableError):
        memory.once()
    status = memory.objects.status(NAME)
    assert condition(status, "Ready")[1] == condition(status, "Stalled")[1] == "ObjectUnreadable"
    assert sum(c.state is State.RUNNING for c in memory.web()) == 3


def test_a_spec_that_cannot_be_built_leaves_what_runs(
    memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.wish()
    memory.converge()
    good = memory.objects.get(NAME)
    memory.wish(version="2")
    real = memory.build

    def build(service: object) -> object:
        if good and service.spec.env == good.resource.spec.env:  # type: ignore[attr-defined]
            return real(service)  # type: ignore[arg-type]
        raise PermanentError("plugin 'web': broken")

    object.__setattr__(memory.world, "build", build)
    memory.machine.kill(memory.web()[0], by_hand=True)
    for _ in range(40):
        memory.once()
        memory.time += 0.5
    assert sum(c.state is State.RUNNING for c in memory.web()) == 3
    assert condition(memory.objects.status(NAME), "Stalled") == ("True", "SpecInvalid")


def test_a_file_that_cannot_be_decrypted_leaves_what_runs_and_heals_it(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    problem = Problem(Path("files.env.age"), 2, 1, "", "is encrypted, and vaultctl has no key")

    def build(service: object) -> object:
        raise SealedError([problem])

    object.__setattr__(memory.world, "build", build)
    memory.machine.kill(memory.web()[0], by_hand=True)
    for _ in range(40):
        memory.once()
        memory.time += 0.5
    assert sum(c.state is State.RUNNING for c in memory.web()) == 3
    status = memory.objects.status(NAME)
    assert condition(status, "Stalled") == ("True", "CannotDecrypt")
    assert str(problem) in str(status)
    # A new process remembers nothing of the file: it says the same and changes nothing.
    object.__setattr__(memory.world, "rebuild", build)
    before = {c.id for c in memory.web()}
    with pytest.raises(SealedError):
        memory.once()
    assert {c.id for c in memory.web()} == before
    assert condition(memory.objects.status(NAME), "Stalled") == ("True", "CannotDecrypt")


def test_a_name_that_nobody_knows_is_gone(memory: MemoryWorld) -> None:
    assert reconcile("nobody", memory.world).gone


def test_what_an_earlier_run_saw_is_no_answer_to_a_new_request(memory: MemoryWorld) -> None:
    memory.wish()
    memory.converge()
    stored = memory.objects.get(NAME)
    assert stored is not None
    for container in memory.web():
        memory.machine.remove(container)
    again = memory.objects.apply(stored.resource, stored.origin, requested_at="now")
    assert again.generation == stored.generation
    assert summarize(again, memory.objects.status(NAME)).verdict is Verdict.MOVING
    memory.once()
    assert memory.objects.status(NAME).last_handled_reconcile_at == "now"
    assert summarize(again, memory.objects.status(NAME)).verdict is Verdict.MOVING
    memory.converge()
    assert summarize(again, memory.objects.status(NAME)).verdict is Verdict.READY


def test_ready_means_that_nothing_differs(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.wish()
    memory.converge()
    odd = Difference(Kind.PROXY, "haproxy", "is odd, and no plan mends it")
    monkeypatch.setattr(preview, "diff", lambda assessment: (odd,))
    assert not memory.once().converged
    assert condition(memory.objects.status(NAME), "Ready") == ("False", "Progressing")


def test_a_job_that_fails_is_given_up_at_once_and_never_runs_on_the_way_back(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful", drain=1.0)
    memory.converge()
    kept = {c.id for c in memory.web()}
    bad = memory.wish(plugin="stateful", version="2", job="fails", drain=1.0)
    began = memory.time
    while not memory.is_rejected(bad):
        memory.once()
        memory.time += 0.5
        assert memory.time < began + 20
    memory.converge()
    assert {c.id for c in memory.web()} == kept
    # The job of the good revision was done before it; the one that failed is gone.
    assert not [c for c in memory.machine.containers.values() if c.workload == "migrate"]
    assert condition(memory.objects.status(NAME), "Ready") == ("False", "RolledBack")


def test_a_job_that_fails_at_first_says_so_and_is_tried_again(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful", job="fails")
    for _ in range(60):
        memory.once()
        memory.time += 0.5
        if condition(memory.objects.status(NAME), "Stalled")[0] == "True":
            break
    status = memory.objects.status(NAME)
    assert condition(status, "Stalled") == ("True", "JobFailed")
    ready = find_condition(status.conditions, "Ready")
    assert ready is not None
    assert ready.message == "job migrate exited with code 3; there is no earlier revision to go back to"
    memory.wish(plugin="stateful", job="2")
    memory.converge()


def test_a_job_whose_container_is_pruned_does_not_run_again(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful")
    memory.converge()
    for container in [c for c in memory.machine.containers.values() if c.workload == "migrate"]:
        memory.machine.remove(container)
    result = memory.once()
    assert (result.did, result.converged) == ("", True)


def test_a_job_that_ended_before_its_service_was_stopped_does_not_run_again(memory: MemoryWorld) -> None:
    def runs() -> list[MemoryContainer]:
        return [c for c in memory.machine.containers.values() if c.workload == "migrate"]

    memory.wish(plugin="stateful", drain=1.0)
    while not any(c.is_up for c in runs()):
        memory.once()
        memory.time += 0.5
    # No pass sees its end before the service is stopped.
    memory.time += 60.0
    memory.wish(plugin="stateful", replicas=0, drain=1.0)
    memory.converge()
    for container in runs():
        memory.machine.remove(container)
    memory.wish(plugin="stateful", drain=1.0)
    memory.converge()
    assert not runs()


def test_a_database_that_never_turns_healthy_is_given_up(memory: MemoryWorld) -> None:
    good = memory.wish(plugin="stateful", drain=1.0)
    memory.converge()
    bad = memory.wish(plugin="stateful", database="never-ready", drain=1.0)
    for _ in range(400):
        memory.once()
        memory.time += 0.5
    assert memory.is_rejected(bad)
    status = memory.objects.status(NAME)
    assert condition(status, "Ready") == ("False", "RolledBack")
    assert status.revision == good.revision
    assert {c.workload for c in memory.machine.containers.values() if c.is_up} >= {"database", "web"}


def test_no_replicas_stop_all_but_the_proxy(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful", replicas=2, drain=1.0)
    memory.converge()
    volumes = set(memory.engine.volumes)
    records = len(memory.records.revisions(NAME))
    memory.wish(plugin="stateful", replicas=0, drain=1.0)
    memory.converge()
    status = memory.objects.status(NAME)
    assert condition(status, "Ready") == ("True", "Stopped")
    assert condition(status, "Degraded") == ("False", "AllServing")
    assert condition(status, "Reconciling") == ("False", "Converged")
    assert (status.replicas.desired, status.replicas.current, status.replicas.serving) == (0, 0, 0)
    running = {c.workload for c in memory.machine.containers.values() if c.is_up}
    assert running == {"gateway", "haproxy"}
    assert memory.engine.volumes >= volumes
    assert len(memory.records.revisions(NAME)) == records, "a stop is no rollout"
    before = memory.objects.status(NAME)
    assert memory.once().did == ""
    assert memory.objects.status(NAME) == before


def test_what_was_stopped_starts_with_the_same_dependencies(memory: MemoryWorld) -> None:
    stack = memory.wish(plugin="stateful", replicas=2, drain=1.0)
    memory.converge()
    beside = {c.id for c in memory.machine.containers.values() if c.workload in ("database", "worker")}
    memory.wish(plugin="stateful", replicas=0, drain=1.0)
    memory.converge()
    memory.time += 900
    # A controller that was started since remembers nothing.
    for container in memory.machine.containers.values():
        container.stopping = False
    memory.wish(plugin="stateful", replicas=2, drain=1.0)
    memory.converge()
    assert {
        c.id for c in memory.machine.containers.values() if c.workload in ("database", "worker")
    } == beside
    assert condition(memory.objects.status(NAME), "Ready") == ("True", "Serving")
    assert len(memory.records.revisions(NAME)) == 1
    revisions = {w.name: frozenset({w.revision}) for w in stack.workloads}
    died = memory.records.deaths(NAME, revisions, BEGINNING - timedelta(1))
    assert not any(died.values()), "what was stopped has not died"


def test_a_change_of_what_is_stopped_is_rolled_out_when_it_starts(memory: MemoryWorld) -> None:
    good = memory.wish(plugin="stateful", replicas=1, drain=1.0)
    memory.converge()
    memory.wish(plugin="stateful", replicas=0, drain=1.0)
    memory.converge()
    memory.wish(plugin="stateful", replicas=0, version="never-ready", database="2", drain=1.0)
    memory.converge()
    assert len(memory.records.revisions(NAME)) == 1
    memory.time += 3600
    bad = memory.wish(plugin="stateful", replicas=1, version="never-ready", database="2", drain=1.0)
    memory.once()
    assert not memory.is_rejected(bad), "it has its whole deadline"
    memory.converge(1000)
    assert memory.is_rejected(bad)
    assert {c.revision for c in memory.web()} == {w.revision for w in good.web}


def test_a_stop_ends_a_rollout_that_was_under_way(memory: MemoryWorld) -> None:
    memory.wish(replicas=1, drain=1.0)
    memory.converge()
    memory.wish(replicas=1, version="2", drain=1.0)
    for _ in range(3):
        memory.once()
    memory.wish(replicas=0, version="2", drain=1.0)
    memory.converge()
    assert [r.result for r in memory.records.revisions(NAME)] == ["Complete", "Superseded"]
    memory.time += 3600
    memory.wish(replicas=1, version="2", drain=1.0)
    memory.converge()
    assert [r.result for r in memory.records.revisions(NAME)] == ["Complete", "Superseded", "Complete"]


def test_a_rejected_revision_can_be_stopped_and_stays_rejected(memory: MemoryWorld) -> None:
    memory.wish(replicas=1, drain=1.0)
    memory.converge()
    bad = memory.wish(replicas=1, version="never-ready", drain=1.0)
    memory.converge(1000)
    memory.wish(replicas=0, version="never-ready", drain=1.0)
    memory.converge()
    assert condition(memory.objects.status(NAME), "Ready") == ("True", "Stopped")
    memory.wish(replicas=1, version="never-ready", drain=1.0)
    memory.converge()
    assert memory.is_rejected(bad)
    assert condition(memory.objects.status(NAME), "Ready") == ("False", "RolledBack")


def test_a_stop_that_fails_for_good_is_an_error_and_no_rollback(
    memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a rollback it was one again at once, and in each pass."""
    memory.wish(replicas=2)
    memory.converge()
    memory.wish(replicas=0, version="2")

    def refuse(*_: object) -> None:
        raise PermanentError("permission denied")

    monkeypatch.setattr(memory.engine, "stop", refuse)
    monkeypatch.setattr(memory.proxy, "configure", refuse)
    with pytest.raises(PermanentError, match="permission denied"):
        memory.converge()
    assert condition(memory.objects.status(NAME), "Stalled") == ("True", "Permanent")
    assert sum(each.result == "RolledBack" for each in memory.records.revisions(NAME)) == 0
    samples = [each for family in memory.recorder.collect() for each in family.samples]
    assert [each.value for each in samples if each.name == "vault_rollbacks_total"] == [0]


def test_drift_of_what_is_stopped_is_left_when_the_spec_says_so(memory: MemoryWorld) -> None:
    memory.wish(plugin="stateful", replicas=1, drift="ignore", drain=1.0)
    memory.converge()
    memory.wish(plugin="stateful", replicas=0, drift="ignore", drain=1.0)
    memory.converge()
    database = next(c for c in memory.machine.containers.values() if c.workload == "database")
    memory.engine.start((database.id,))
    assert memory.once().did == ""
    assert database.is_up
