"""What the journal counts, seen through the recorder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metrics.recorder import Recorder
from reconciler.api import Spec, TemporaryError
from reconciler.api.reasons import Reason
from reconciler.controller.report.executed import Executed
from reconciler.controller.report.journal import Journal
from reconciler.controller.report.trace import tracing
from reconciler.core.assess.assessment import assess
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import EngineObservation, Observation, ProxyObservation
from reconciler.core.assess.progress import Failure
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.plan.gateway_operations import EmptyPool
from reconciler.core.plan.operations import CreateReplicas, RemoveContainer, StopContainer
from reconciler.store.history import HistoryStore
from tests.controller.report.test_board import STACK
from tests.core.compose.test_forms import built

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = Spec(plugin="whoami")
DIED = RemoveContainer(container="c", name="web-1", workload="web", cause=Cause.DEAD)
CUT = StopContainer(container="c", name="web-1", workload="web", grace=1.0, cut=3, cause=Cause.OUTDATED)
ROTATE = CreateReplicas(workload="web", count=2, existing=3, cause=Cause.ROTATION)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def stack(revision: str) -> Stack:
    web = Workload("web", Role.WEB, 3, "image", revision, frozenset({revision}), frozenset())
    return replace(STACK, workloads=(*STACK.workloads, web))


class Desk:
    """A journal with a real history, and what its recorder shows."""

    def __init__(self, path: Path) -> None:
        self.recorder = Recorder()
        self.journal = Journal(HistoryStore(path), self.recorder)

    def begin(self, revision: str, seconds: float) -> None:
        self.journal.begin(stack(revision), SPEC, "", at(seconds))

    def value(self, metric: str, /, **labels: str) -> float | None:
        for family in self.recorder.collect():
            for sample in family.samples:
                if sample.name == metric and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def exemplars(self) -> set[str]:
        return {
            sample.exemplar.labels["reconcile_id"]
            for family in self.recorder.collect()
            for sample in family.samples
            if sample.exemplar
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "history.sqlite3")
    made.begin("r1", 0)
    return made


@pytest.mark.parametrize(
    "series",
    [
        ("vault_rollbacks_total", {}),
        ("vault_sessions_cut_total", {}),
        ("vault_replica_restarts_total", {"workload": "web"}),
        ("vault_rotations_total", {"result": "success"}),
        ("vault_reconcile_total", {"result": "panic"}),
    ],
    ids=lambda series: series[0],
)
def test_counters_are_0_before_anything_happened(desk: Desk, series: tuple[str, dict[str, str]]) -> None:
    assert desk.value(series[0], name="files", **series[1]) == 0


def test_a_rollout_is_timed_by_how_it_ended(desk: Desk) -> None:
    desk.journal.complete(stack("r1"), at(10))
    desk.begin("r2", 20)
    desk.begin("r3", 25)
    desk.journal.reject(stack("r3"), Failure(Reason.CRASH_LOOP, "died"), "", "", at(32))
    sums = {
        result: desk.value("vault_rollout_duration_seconds_sum", result=result)
        for result in ("completed", "superseded", "rolled_back")
    }
    assert sums == {"completed": 10, "superseded": 5, "rolled_back": 7}
    assert desk.value("vault_rollbacks_total", name="files") == 1


def test_rest_is_no_second_rollout(desk: Desk) -> None:
    for seconds in (10, 11):
        desk.begin("r1", seconds)
        desk.journal.complete(stack("r1"), at(seconds))
    assert desk.value("vault_rollout_duration_seconds_count", result="completed") == 1


def test_sessions_that_are_cut_with_a_pool_of_a_gateway_are_counted(desk: Desk) -> None:
    emptied = EmptyPool(pool="p1", slots=(1,), servers=("web-1",), cut=2, cause=Cause.SURPLUS)
    for operation in (emptied, replace(emptied, cut=0)):
        desk.journal.executed(stack("r1"), Executed((operation,), 0.5), {}, "", NOW)
    assert desk.value("vault_sessions_cut_total", name="files") == 2


def test_calls_are_counted_by_what_they_did(desk: Desk) -> None:
    for operation in (DIED, CUT, ROTATE):
        desk.journal.executed(stack("r1"), Executed((operation,), 0.5), {}, "", NOW)
    failed = Executed((ROTATE,), 0.5, TemporaryError("no room"))
    desk.journal.executed(stack("r1"), failed, {}, "", NOW)
    assert desk.value("vault_replica_restarts_total", name="files", workload="web") == 1
    assert desk.value("vault_sessions_cut_total", name="files") == 3
    assert desk.value("vault_rotations_total", name="files", result="success") == 2
    assert desk.value("vault_rotations_total", name="files", result="error") == 2
    assert desk.value("vault_operations_total", kind="CreateReplicas", cause="rotation", result="error") == 1
    assert desk.value("vault_operation_duration_seconds_sum", kind="CreateReplicas") == 1


def test_what_a_pass_did_carries_its_id(desk: Desk) -> None:
    with tracing("files") as trace:
        desk.journal.executed(stack("r1"), Executed((CUT,), 0.5), {}, "", NOW)
    assert desk.exemplars() == {trace.reconcile_id}


def test_a_service_that_is_gone_leaves_no_series(desk: Desk) -> None:
    desk.journal.executed(stack("r1"), Executed((DIED,), 0.5), {}, "", NOW)
    desk.journal.forget("files")
    assert desk.value("vault_replica_restarts_total", name="files") is None
    assert desk.value("vault_rollbacks_total", name="files") is None


def test_data_that_nothing_keeps_is_told_once_until_something_does(tmp_path: Path) -> None:
    history = HistoryStore(tmp_path / "history.sqlite3")
    journal = Journal(history, Recorder())
    built_stack = built(db={"volumes": ["data:/b"]}, volumes={"data": {}})

    def noticed(*declared: str) -> list[str]:
        seen = EngineObservation(containers=(), volumes={"db:1": declared})
        journal.noticed(assess(built_stack, Observation(seen, ProxyObservation("x", None, {})), NOW))
        return [event.message for event in history.events("files") if event.reason == "DataNotKept"]

    assert noticed("/b") == []
    (told,) = noticed("/a", "/b")
    assert told.startswith("services.db: image db:1 declares /a as a volume")
    assert noticed("/a", "/b") == [told]
    assert noticed("/b") == [told]
    assert noticed("/a", "/b", "/c")[1:] == [told.replace("/a as a volume", "/a and /c as volumes")]


def test_advice_on_a_fragment_is_a_normal_event(tmp_path: Path) -> None:
    """Where manifests come from Git, no person reads what validate says."""
    history = HistoryStore(tmp_path / "history.sqlite3")
    journal = Journal(history, Recorder())
    advised = replace(built(db={}), warnings=("services.db: set a limit",))
    for _ in range(2):
        journal.noticed(
            assess(advised, Observation(EngineObservation(()), ProxyObservation("x", None, {})), NOW)
        )
    (event,) = history.events("files")
    assert (event.type, event.reason, event.message, event.count) == (
        "Normal",
        "AdmissionWarning",
        "services.db: set a limit",
        1,
    )
