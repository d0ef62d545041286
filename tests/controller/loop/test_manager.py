"""The threads around the queue, over a world in memory and in real time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.api import find_condition
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.controller.loop import workers
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.election import Election
from reconciler.controller.loop.following import SourceOptions
from reconciler.controller.loop.lease import LeaseTakenError, lease
from reconciler.controller.loop.manager import Carrying, Controller
from reconciler.controller.report.journal import Journal
from reconciler.controller.report.outcome import Progress
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Stack
from reconciler.engines.errors import EngineError
from reconciler.engines.lease import Lease
from reconciler.sources.directory import DirectorySource
from reconciler.store.history import HistoryStore
from tests.controller.worlds import MemoryWorld
from tests.simulation.services import NAME

PATIENCE = 180.0
WORKERS = 2
SERVICE = Ref(VAULT_SERVICE, NAME)


@pytest.fixture
def memory() -> MemoryWorld:
    return MemoryWorld(real=True)


@pytest.fixture
def controller(memory: MemoryWorld, tmp_path: Path) -> Controller:
    return make(memory, tmp_path)


def make(
    memory: MemoryWorld, state: Path, on_progress: Callable[[Progress], None] | None = None
) -> Controller:
    return Controller(
        memory.world,
        state,
        memory.recorder,
        Backoff(random.Random(1)),
        following=SourceOptions(),
        workers=WORKERS,
        resync=1.0,
        on_progress=on_progress,
    )


def wait_for(truth: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Running:
    """A controller in a thread of its own, as `vaultctl run` has it."""

    def __init__(self, controller: Controller) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=controller.run, args=(self._stop,))

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def serving(memory: MemoryWorld) -> int:
    return int(memory.objects.status(NAME).replicas.serving)


def test_converge_comes_back_when_all_is_done(memory: MemoryWorld, tmp_path: Path) -> None:
    told: list[Progress] = []
    memory.wish(replicas=2)
    outcome = make(memory, tmp_path, told.append).converge([SERVICE], PATIENCE)[SERVICE]
    assert (outcome.ready, outcome.reason) == (True, "Serving")
    assert told[-1].replicas is not None
    assert told[-1].replicas.serving == 2
    assert any("create 2 × web" in progress.did for progress in told)


def test_converge_does_not_wait_for_ever(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(version="never-ready")
    outcome = controller.converge([SERVICE], 1.0)[SERVICE]
    assert (outcome.ready, outcome.reason) == (False, "TimedOut")
    assert "not Ready within 1 s" in outcome.message


def test_converge_says_what_nobody_can_help(memory: MemoryWorld, controller: Controller) -> None:
    memory.engine.missing_images.add("web:1")
    memory.engine.unpullable.add("web:1")
    memory.wish()
    outcome = controller.converge([SERVICE], PATIENCE)[SERVICE]
    assert (outcome.ready, outcome.reason) == (False, "ImageMissing")


def test_a_pass_that_finds_what_it_found_before_looks_at_no_other_service(
    memory: MemoryWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Progress] = []
    controller = make(memory, tmp_path, passes.append)
    memory.wish(replicas=1)
    looks: list[Ref] = []
    monkeypatch.setattr(Controller, "_wake_dependants", lambda self, ref: looks.append(ref))
    with Running(controller):
        wait_for(lambda: serving(memory) == 1 and bool(looks))
        for _ in range(3):
            before = len(passes)
            controller.wake(SERVICE)
            wait_for(partial(_longer, passes, before))
        assert looks == [SERVICE]
        memory.machine.kill(memory.web()[0], by_hand=True)
        wait_for(lambda: len(looks) == 2)


def _longer(told: list[Progress], before: int) -> bool:
    return len(told) > before


def test_what_breaks_is_healed_without_a_command(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(replicas=2)
    with Running(controller):
        wait_for(lambda: serving(memory) == 2)
        victim = memory.web()[0]
        memory.machine.kill(victim, by_hand=True)
        wait_for(lambda: victim not in memory.web() and serving(memory) == 2)


def test_it_stops_and_what_runs_goes_on(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(replicas=1)
    with Running(controller):
        wait_for(lambda: serving(memory) == 1)
        assert controller.is_live
        assert controller.is_loaded
    assert not controller.is_live
    assert all(c.is_up for c in memory.web())


class Failing:
    """Stands in for a call of the engine, and counts how often it was made."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1
        raise self._error


def test_an_engine_that_is_away_for_a_moment_is_waited_for(
    memory: MemoryWorld, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Failing(EngineError("it is away"))
    memory.wish(replicas=1)
    with monkeypatch.context() as patch:
        patch.setattr(memory.engine, "observe", away)
        with Running(controller):
            wait_for(lambda: away.calls >= 2)
            assert controller.is_live
            assert not memory.machine.containers
            patch.undo()
            wait_for(lambda: serving(memory) == 1)


def test_a_defect_in_a_pass_stops_nobody(
    memory: MemoryWorld, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Failing(ZeroDivisionError())
    memory.wish(replicas=1)
    with monkeypatch.context() as patch, Running(controller):
        patch.setattr(memory.engine, "observe", broken)
        # More passes than there are workers: none of them has ended with its pass.
        wait_for(lambda: broken.calls >= WORKERS + 1)
        assert controller.is_live
        patch.undo()
        wait_for(lambda: serving(memory) == 1)


@pytest.mark.parametrize(
    ("call", "error", "reason", "message"),
    [
        ("create", EngineError("no space left"), "Engine", "no space left"),
        ("observe", EngineError("it is away"), "Engine", "it is away"),
        ("observe", ZeroDivisionError("by zero"), "InternalError", "ZeroDivisionError: by zero"),
    ],
)
def test_a_failure_is_recorded_once_under_the_reason_of_the_conditions(
    memory: MemoryWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    error: Exception,
    reason: str,
    message: str,
) -> None:
    history = HistoryStore(tmp_path / "history.sqlite3")
    memory.world = replace(memory.world, records=history, journal=Journal(history, memory.recorder))
    memory.wish(replicas=1)
    failing = Failing(error)
    monkeypatch.setattr(memory.engine, call, failing)
    with Running(make(memory, tmp_path)):
        wait_for(lambda: failing.calls >= 1 and any(e.type == "Warning" for e in history.events(NAME)))
    warnings = [(event.reason, event.message) for event in history.events(NAME) if event.type == "Warning"]
    assert warnings == [(reason, message)]
    if isinstance(error, EngineError):
        ready = find_condition(memory.objects.status(NAME).conditions, "Ready")
        assert ready is not None
        assert ready.reason == reason


def test_a_service_that_somebody_else_works_on_waits(
    memory: MemoryWorld, controller: Controller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    @contextmanager
    def counting(path: Path) -> Iterator[None]:
        try:
            with lease(path):
                yield
        except LeaseTakenError:
            refused.append(path)
            raise

    monkeypatch.setattr(workers, "lease", counting)
    memory.wish(replicas=1)
    # Held before the first pass, which would have it otherwise.
    with ExitStack() as held:
        held.enter_context(lease(tmp_path / "leases" / NAME))
        with Running(controller):
            wait_for(lambda: len(refused) >= 2 or serving(memory) == 1)
            assert not memory.machine.containers
            held.close()
            wait_for(lambda: serving(memory) == 1)
    assert set(refused) == {tmp_path / "leases" / NAME}


def test_one_service_waits_for_its_own_lease_only(
    memory: MemoryWorld, controller: Controller, tmp_path: Path
) -> None:
    memory.wish(replicas=1)
    with lease(tmp_path / "leases" / "another"), Running(controller):
        wait_for(lambda: serving(memory) == 1)


def test_two_controllers_do_not_share_a_state_directory(controller: Controller, tmp_path: Path) -> None:
    with lease(tmp_path / "controller.lock"), pytest.raises(LeaseTakenError):
        controller.run(threading.Event())


def test_a_deleted_service_is_torn_down(memory: MemoryWorld, controller: Controller) -> None:
    memory.wish(replicas=1)
    with Running(controller):
        wait_for(lambda: serving(memory) == 1)
        memory.objects.request_deletion(NAME, False, memory.now())
        controller.wake(SERVICE)
        wait_for(lambda: not memory.machine.containers)
    assert memory.objects.names() == ()


def test_queues_tell_what_goes_on(memory: MemoryWorld, controller: Controller) -> None:
    with Running(controller):
        wait_for(lambda: controller.is_live)
        (queue,) = controller.queues()
    assert (queue.workers, queue.name) == (WORKERS, "vaultservice")


class Record:
    """A lease that the test holds, or gives back."""

    def __init__(self, holder: str) -> None:
        self.lease = Lease(1, holder, "node2", 1)

    def read(self) -> Lease:
        return self.lease

    def is_first(self) -> bool:
        return False

    def write(self, before: Lease | None, holder: str, node: str, term: int) -> bool:
        if before is not self.lease:
            return False
        self.hold(holder, node, term)
        return True

    def hold(self, holder: str, node: str = "node2", term: int = 1) -> None:
        self.lease = Lease(self.lease.version + 1, holder, node, term)


class Entered:
    """Lets a process take part."""

    def enter(self) -> tuple[str, str]:
        return "this/one", "node1"

    def leave(self) -> None:
        """Nothing to let go."""


def one_of_several(memory: MemoryWorld, state: Path, record: Record, **options: Any) -> Controller:
    election = Election(record, Entered())
    following = options.pop("following", SourceOptions())
    return Controller(
        replace(memory.world, require=election.require),
        state,
        memory.recorder,
        Backoff(random.Random(1)),
        following=following,
        workers=WORKERS,
        resync=1.0,
        election=election,
        **options,
    )


def reason(memory: MemoryWorld) -> str:
    ready = find_condition(memory.objects.status(NAME).conditions, "Ready")
    return ready.reason if ready else ""


def test_one_of_several_acts_while_it_holds_the_lease(memory: MemoryWorld, tmp_path: Path) -> None:
    record = Record("other/one")
    controller = one_of_several(memory, tmp_path, record)
    memory.wish(replicas=1)
    with Running(controller):
        wait_for(lambda: reason(memory) == "Standby")
        assert not memory.machine.containers
        record.hold("")
        wait_for(lambda: serving(memory) == 1)
        assert record.lease.node == "node1"
        record.hold("other/one")
        wait_for(lambda: reason(memory) == "Standby")
        memory.wish(replicas=3)
        wait_for(lambda: record.lease.holder == "other/one" and reason(memory) == "Standby")
        assert len(memory.web()) == 1
        record.hold("")
        wait_for(lambda: serving(memory) == 3)
    assert record.lease.holder == "", "it is given back"


def test_a_command_beside_another_controller_is_told_who_acts(memory: MemoryWorld, tmp_path: Path) -> None:
    record = Record("other/one")
    controller = one_of_several(memory, tmp_path, record)
    memory.wish(replicas=1)
    renewing = threading.Timer(2.5, lambda: record.hold("other/one"))
    renewing.start()
    outcome = controller.converge([SERVICE], PATIENCE)[SERVICE]
    renewing.join()
    assert (outcome.ready, outcome.reason) == (False, "Standby")
    assert "the controller on node2 holds the lease of the Swarm" in outcome.message
    assert not memory.machine.containers


def test_manifests_count_again_after_another_controller_s_objects(
    memory: MemoryWorld, tmp_path: Path
) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    text = f"apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {{name: {NAME}}}\nspec: "
    (manifests / "web.yaml").write_text(
        text + '{plugin: web, replicas: 2, ports: {http: 8080}, env: {VERSION: "1"}}\n'
    )
    source = DirectorySource(manifests)

    def take_over() -> None:
        stored = memory.objects.get(NAME)
        assert stored is not None
        spec = stored.resource.spec.model_copy(update={"replicas": 1})
        memory.objects.apply(stored.resource.model_copy(update={"spec": spec}), stored.origin)

    keeping: Any = SimpleNamespace(take_over=take_over, keep=lambda ref: None)
    record = Record("other/one")
    controller = one_of_several(memory, tmp_path, record, following=SourceOptions([source]), keeping=keeping)
    with Running(controller):
        wait_for(lambda: controller.is_loaded)
        record.hold("")
        wait_for(lambda: serving(memory) == 2)


def test_files_of_the_state_directory_are_taken_over_after_objects_and_kept_while_it_acts(
    memory: MemoryWorld, tmp_path: Path
) -> None:
    did: list[str] = []
    record = Record("other/one")
    objects: Any = SimpleNamespace(take_over=lambda: did.append("objects"), keep=lambda label: None)

    def keep_all() -> None:
        did.append(f"kept by {record.lease.node}")
        if (tmp_path / "fails").exists():
            raise EngineError("the Swarm has no leader")

    files: Any = SimpleNamespace(take_over=lambda: did.append("files"), keep_all=keep_all)
    carrying = Carrying(files, lambda: [tmp_path])
    controller = one_of_several(memory, tmp_path, record, keeping=objects, carrying=carrying)
    with Running(controller):
        wait_for(lambda: controller.is_live)
        (tmp_path / "one").touch()
        assert did == [], "another one acts"
        record.hold("")
        wait_for(lambda: len(did) >= 3)
        assert did[:3] == ["objects", "files", "kept by node1"]
        (tmp_path / "fails").touch()
        before = len(did)
        wait_for(lambda: len(did) > before)
        (tmp_path / "fails").unlink()
        before = len(did)
        (tmp_path / "two").touch()
        wait_for(lambda: len(did) > before)
        before = len(did)
    assert len(did) > before, "and once more, before another one may act"
    assert set(did[2:]) == {"kept by node1"}


def test_the_lease_is_held_until_the_last_pass_has_ended(
    memory: MemoryWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Record("")
    controller = one_of_several(memory, tmp_path, record)
    begun, go_on = threading.Event(), threading.Event()

    def slow(stack: Stack) -> EngineObservation:
        begun.set()
        assert go_on.wait(PATIENCE)
        return observe(stack)

    observe = memory.engine.observe
    monkeypatch.setattr(memory.engine, "observe", slow)
    memory.wish(replicas=1)
    stop = threading.Event()
    thread = threading.Thread(target=controller.run, args=(stop,))
    thread.start()
    assert begun.wait(PATIENCE)
    stop.set()
    version = record.lease.version
    wait_for(lambda: record.lease.version > version)
    assert record.lease.node == "node1"
    go_on.set()
    thread.join(PATIENCE)
    assert record.lease.holder == ""
