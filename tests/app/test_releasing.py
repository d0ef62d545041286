"""What a release begins with, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultError
from reconciler.app.releasing import Release, forget, plan_release
from reconciler.core.adoption.found import FoundContainer, FoundMount, FoundProject
from reconciler.core.adoption.record import Adoption, Stage
from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Stack
from tests.app.adoption_world import PROJECT, AdoptionWorld, Records
from tests.simulation.services import NAME, Wish, build_stack
from tests.simulation.stores import ORIGIN

STACK = build_stack(Wish(plugin="stateful", replicas=1).service())
FINISHED = Adoption(NAME, "shop", stage=Stage.FINISHED)


class World(AdoptionWorld):
    """Containers of ours and of others, by project."""

    def __init__(self) -> None:
        super().__init__()
        for container in self.machine.of(PROJECT):
            self.machine.remove(container)
        self.there: dict[str, FoundProject] = {}
        self.bytes: dict[str, int] = {}

    def find(self, project: str, *, ours: bool = False) -> FoundProject:
        return self.there.get(project, FoundProject(project, ()))

    def sizes(self, volumes: Any) -> dict[str, int]:
        return {name: self.bytes[name] for name in volumes if name in self.bytes}


def container(service: str, volume: str = "") -> FoundContainer:
    mounts = (FoundMount(volume, "/data"),) if volume else ()
    return FoundContainer("1", f"vault-files-{service}-1", service, State.RUNNING, (), "", "", mounts=mounts)


def planned(world: World, stack: Stack = STACK, record: Adoption | None = None, **more: Any) -> Release:
    stored = world.objects.apply(world.service, ORIGIN)
    world.converge()
    options = {"directory": Path("/plain"), "project": "", "http": None, "bind": "", **more}
    return plan_release(stored, world.objects.status(NAME), stack, record, world, **options)


def test_it_begins_with_a_record_that_closes_the_service() -> None:
    release = planned(World())
    record = release.record
    assert (record.name, record.project, record.stage) == (NAME, NAME, Stage.RELEASING)
    assert (record.web, record.order) == ("web", ("database", "web", "worker"))
    assert record.closed
    assert release.document["file"] == "/plain/compose.yaml"
    assert release.project.document["services"]["web"]["ports"] == ["8080:8000"]


def test_only_what_is_ready_is_known_to_run() -> None:
    world = World()
    stored = world.objects.apply(world.service, ORIGIN)
    status = world.objects.status(NAME)
    with pytest.raises(VaultError, match="it is not Ready, so another revision may run than its spec says"):
        plan_release(
            stored, status, STACK, None, world, directory=Path("/plain"), project="", http=None, bind=""
        )


def test_an_adopted_one_goes_back_to_its_project() -> None:
    assert planned(World(), record=FINISHED).record.project == "shop"
    assert planned(World(), record=FINISHED, project="mine").record.project == "mine"
    with pytest.raises(VaultError, match="`vaultctl adopt shop --undo` goes back to the former containers"):
        planned(World(), record=replace(FINISHED, stage=Stage.ADOPTED))


def test_a_project_of_that_name_is_in_the_way() -> None:
    world = World()
    world.there[NAME] = FoundProject(NAME, (container("x"),))
    with pytest.raises(
        VaultError, match=f"there are containers of a Compose project {NAME}; remove them, or name another"
    ):
        planned(world)


def test_without_a_port_of_its_own_one_is_asked_for() -> None:
    with pytest.raises(VaultError, match="it has no port of the host"):
        planned(World(), replace(STACK, published=0))
    assert planned(World(), replace(STACK, published=0), http=80).record.stage is Stage.RELEASING


@pytest.mark.parametrize(("size", "is_refused"), [(0, False), (1, True), (-1, True), (None, True)])
def test_data_that_no_name_leads_to_is_not_left_behind(size: int | None, is_refused: bool) -> None:
    world = World()
    world.there[STACK.project] = FoundProject(
        STACK.project,
        (container("database", "0123"), container("web", "4567"), container("worker", "vault-files_data")),
    )
    world.bytes = {} if size is None else {"0123": size}
    if not is_refused:
        assert planned(world)
        return
    with pytest.raises(VaultError, match="vault-files-database-1: /data is an anonymous volume with data"):
        planned(world)


def test_a_release_is_forgotten_on_request() -> None:
    journal = Records()
    for record in (None, FINISHED):
        if record:
            journal.put(record)
        with pytest.raises(VaultError, match="was not released"):
            forget(NAME, journal)
    journal.put(replace(FINISHED, stage=Stage.RELEASED))
    forget(NAME, journal)
    assert journal.records == {}
