"""A Compose project in memory that is adopted: real passes over the engine in memory, a journal, and deaths of the process.

Each call that changes something is a point at which the process can be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.api.errors import VaultError
from reconciler.api.kinds import Ref
from reconciler.app.adopting import Runner
from reconciler.controller.reconcile.adopted import check_record, listening_on
from reconciler.controller.report.outcome import Outcome
from reconciler.core.adoption.found import FoundProject
from reconciler.core.adoption.record import Adoption, FormerContainer, Stage
from reconciler.core.assess.observation import State
from reconciler.core.desired.build import project_of
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.names import VAULT_NET
from reconciler.engines.memory.machine import Behaviour, MemoryContainer
from tests.controller.worlds import BEGINNING, MemoryWorld
from tests.simulation.services import NAME, Wish, build_stack
from tests.simulation.stores import ORIGIN

PROJECT: Final = "shop"
PORT: Final = 8080
BESIDE: Final = 30080
OLD: Final = ("database", "worker", "migrate", "web")
ENGINE: Final = ("create", "recreate", "start", "stop", "remove", "tear_down")
FOREIGN: Final = ("hold_back", "end", "revive", "up")
MANIFEST: Final = "/shop/files.yaml"


class KilledError(BaseException):
    """The process is gone."""


class Fuse:
    """Kills right before one call of many; that is also right after the one before it."""

    def __init__(self) -> None:
        self.calls = 0
        self.at = 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, which may not be reached."""

        def fused(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                raise KilledError
            return call(*arguments, **options)

        return fused


class Records:
    """A journal that survives."""

    def __init__(self) -> None:
        self.records: dict[str, Adoption] = {}

    def names(self) -> tuple[str, ...]:
        return tuple(self.records)

    def get(self, name: str) -> Adoption | None:
        return self.records.get(name)

    def put(self, record: Adoption) -> None:
        self.records[record.name] = record

    def remove(self, name: str) -> None:
        self.records.pop(name, None)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        yield


class AdoptionWorld(MemoryWorld):
    """The project runs and the service is not there yet. `waits`: the web service writes, so there is one at a time."""

    def __init__(self, *, waits: bool = False) -> None:
        super().__init__()
        self.waits = waits
        self.records_of = Records()
        self.fuse = Fuse()
        self.broken: list[str] = []
        self.runs: dict[str, int] = {}
        self.record = self._planned()
        self.machine.subscribe(lambda name: self._watch())
        for name in ENGINE:
            setattr(self.engine, name, self.fuse.around(getattr(self.engine, name)))
        for name in FOREIGN:
            setattr(self, name, self.fuse.around(getattr(self, name)))
        self.records_of.put = self.fuse.around(self.records_of.put)  # type: ignore[method-assign]
        self.records_of.remove = self.fuse.around(self.records_of.remove)  # type: ignore[method-assign]

    # What there is

    @property
    def service(self) -> VaultService:
        """What its manifest says."""
        return _wish(PORT, waits=self.waits)

    def _planned(self) -> Adoption:
        stack = _stack(PORT, waits=self.waits)
        former = []
        for name in OLD:
            container = MemoryContainer(
                id=f"former-{name}".ljust(64, "0"),
                name=f"{PROJECT}-{name}-1",
                service="",
                project=PROJECT,
                workload=name,
                role=Role.DEPENDENCY,
                revision="",
                behaviour=Behaviour(),
                number=1,
                created=BEGINNING - timedelta(hours=1),
                networks=frozenset({VAULT_NET}),
                restarts=name != "migrate",
                published=frozenset({PORT}) if name == "web" else frozenset(),
            )
            self.machine.add(container)
            if name == "migrate":
                container.state, container.exit_code = State.EXITED, 0
            else:
                self.machine.start(container)
            restart = "unless-stopped" if container.restarts else "no"
            former.append(FormerContainer(container.id, container.name, name, restart))
        return Adoption(
            NAME,
            PROJECT,
            manifest=MANIFEST,
            web="web",
            waits=self.waits,
            beside=0 if self.waits else BESIDE,
            order=("database", "worker"),
            former=tuple(former),
            revisions={w.name: w.revision for w in stack.workloads if w.name in OLD and w.name != "web"},
            volumes=frozenset({"shop_data"}),
        )

    def _watch(self) -> None:
        """Two writers on one volume, and a second run of a job."""
        alone = ("database", "worker", *(["web"] if self.waits else []))
        for name in alone:
            up = [c.name for c in self.machine.containers.values() if c.workload == name and c.is_up]
            if len(up) > 1:
                self.broken.append(f"{self.time}: {up}")
        self.broken += [
            f"{c.name} runs again"
            for c in self.machine.containers.values()
            if c.workload == "migrate" and c.is_up
        ]

    def up(self, project: str, file: Path, service: str) -> None:
        """See Foreign.up."""
        id = f"plain-{service}".ljust(64, "0")
        if id not in self.machine.containers:
            self.machine.add(_plain(id, project, service))
        if not self.machine.containers[id].is_up:
            self.machine.start(self.machine.containers[id])
        self.sleep(3.0)

    def side(self, project: str) -> dict[str, bool]:
        """Which services of a project run."""
        return {
            c.workload: c.is_up for c in self.machine.of(project) if c.role not in (Role.GATEWAY, Role.PROXY)
        }

    # A pass

    def build(self, service: VaultService) -> Stack:
        record = self.records_of.get(service.name)
        check_record(service, record)
        if record and record.listens_beside:
            service = listening_on(service, record.beside)
        stack = _stack(service.spec.ports.http, waits=self.waits)
        return replace(stack, former=record.counted() if record else ())

    # Machine

    def controller_is_running(self) -> bool:
        return False

    def converge_all(
        self, refs: Collection[Ref], timeout: float, on_progress: Any = None
    ) -> Mapping[Ref, Outcome]:
        """As `vaultctl` does without a controller."""
        (ref,) = refs
        try:
            self.converge()
        except (VaultError, AssertionError) as error:
            return {ref: Outcome(False, "Failed", str(error))}
        return {ref: Outcome(True, "Serving", "")}

    # Foreign

    def projects_of(self, file: Path) -> tuple[str, ...]:
        return (PROJECT,)

    def find(self, project: str, *, ours: bool = False) -> FoundProject:
        return FoundProject(project, ())

    def definitions(self, project: str, file: Path, profiles: Sequence[str]) -> tuple[Mapping[str, str], str]:
        return {}, ""

    def running(self, project: str) -> tuple[str, ...]:
        return tuple(c.name for c in self.machine.of(project) if c.is_up)

    def still_running(self, containers: Iterable[FormerContainer]) -> tuple[str, ...]:
        self.machine.settle()
        found = (self.machine.containers.get(each.id) for each in containers)
        return tuple(c.name for c in found if c and c.state not in (State.EXITED, State.CREATED))

    def existing(self, kind: str, names: Iterable[str]) -> frozenset[str]:
        return frozenset(names)

    def sizes(self, volumes: Iterable[str]) -> Mapping[str, int]:
        return {}

    def free_port(self) -> int:
        return BESIDE

    def hold_back(self, containers: Sequence[FormerContainer]) -> None:
        for each in containers:
            self.machine.containers[each.id].restarts = False

    def end(self, containers: Sequence[FormerContainer]) -> None:
        for each in containers:
            container = self.machine.containers[each.id]
            container.restarts = False
            self.machine.stop(container, each.grace)
        self.sleep(1.0)
        assert not self.still_running(containers)

    def revive(self, container: FormerContainer) -> None:
        found = self.machine.containers[container.id]
        found.restarts = container.restart != "no"
        if not found.is_up:
            self.machine.start(found)
        self.sleep(3.0)

    def remove(self, containers: Sequence[FormerContainer]) -> None:
        for each in containers:
            self.machine.remove(self.machine.containers[each.id])

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.machine.settle()

    # Running

    def take(self, record: Adoption, last: Stage | None = None) -> None:
        """Take the steps of a record that are left, in a process that may be killed."""
        store = self.fuse.around(lambda each: self.objects.apply(self.service, ORIGIN))
        Runner(
            machine=_Machine(self),
            foreign=self,
            journal=self.records_of,
            store=store,
            report=lambda progress: None,
            tell=lambda step: None,
            now=self.now,
            timeout=60.0,
            last=last,
        ).run(record)

    def die(self) -> None:
        """What the death of the process leaves: stops that it had asked for go on, and it kills nothing any more."""
        self.machine.lose_grip()
        self.fuse.at = 0
        self.sleep(0.3)

    @property
    def own(self) -> str:
        """The project of the controller."""
        return project_of(NAME)


def _wish(port: int, *, waits: bool) -> VaultService:
    return Wish(
        plugin="stateful", replicas=1, drain=2.0, port=port, strategy="Recreate" if waits else None
    ).service()


@cache
def _stack(port: int, *, waits: bool) -> Stack:
    return build_stack(_wish(port, waits=waits))


class _Machine:
    """What a Runner sees of the world."""

    def __init__(self, world: AdoptionWorld) -> None:
        self.objects = world.objects
        self.controller_is_running = world.controller_is_running
        self.converge = world.converge_all
        self.sleep = world.sleep

    @contextmanager
    def changes(self) -> Iterator[_Machine]:
        yield self

    def wait(self, seconds: float) -> None:
        """Nothing changes by itself in the world while time passes."""
        self.sleep(seconds)


def _plain(id: str, project: str, service: str) -> MemoryContainer:
    """A container of a released project."""
    return MemoryContainer(
        id=id,
        name=f"{project}-{service}-1",
        service="",
        project=project,
        workload=service,
        role=Role.DEPENDENCY,
        revision="",
        behaviour=Behaviour(),
        number=1,
        created=BEGINNING,
        networks=frozenset({VAULT_NET}),
        restarts=True,
    )
