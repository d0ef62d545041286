"""The steps of an adoption, of the way back and of a release, killed at each call that changes something."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.api import PermanentError, TemporaryError
from reconciler.app.adopting import finish
from reconciler.core.adoption.record import Adoption, Stage
from reconciler.core.adoption.steps import undoing
from tests.app.adoption_world import BESIDE, PORT, PROJECT, AdoptionWorld, KilledError
from tests.simulation.services import NAME
from tests.simulation.stores import ORIGIN

ENOUGH = 200


def adopted(world: AdoptionWorld) -> None:
    assert world.side(PROJECT) == dict.fromkeys(("database", "worker", "migrate", "web"), False)
    assert world.side(world.own) == dict.fromkeys(("database", "worker", "web"), True)
    record = world.records_of.records[NAME]
    assert (record.stage, record.moved) == (Stage.ADOPTED, ("database", "worker"))
    assert world.build(world.service).published == PORT
    assert world.converge().converged


def given_back(world: AdoptionWorld) -> None:
    assert world.side(PROJECT) == {"database": True, "worker": True, "migrate": False, "web": True}
    assert world.side(world.own) == {}
    assert world.records_of.records == {}
    assert [c.restarts for c in world.machine.of(PROJECT)] == [True, True, False, True]
    assert not world.engine.volumes or "shop_data" not in world.engine.volumes


def released(world: AdoptionWorld) -> None:
    assert world.side("plain") == dict.fromkeys(("database", "worker", "web"), True)
    assert world.side(world.own) == {}
    assert world.records_of.records[NAME].stage is Stage.RELEASED
    with pytest.raises(PermanentError, match="was released to the Compose project plain in /plain"):
        world.build(world.service)


def begin(world: AdoptionWorld) -> Adoption:
    return world.record


def back(world: AdoptionWorld) -> Adoption:
    world.take(world.record)
    return undoing(world.records_of.records[NAME])


def out(world: AdoptionWorld) -> Adoption:
    world.take(world.record)
    done = finish(world.records_of.records[NAME], world, world.records_of)
    return replace(done, stage=Stage.RELEASING, project="plain", directory="/plain")


WAYS = {"adopt": (begin, adopted), "undo": (back, given_back), "release": (out, released)}


@pytest.mark.parametrize("waits", [False, True], ids=["beside", "one writer"])
@pytest.mark.parametrize("way", WAYS)
def test_it_leads_to_the_same_wherever_it_is_killed(way: str, waits: bool) -> None:
    prepare, check = WAYS[way]
    for at in range(1, ENOUGH):
        world = AdoptionWorld(waits=waits)
        record = prepare(world)
        world.fuse.calls, world.fuse.at = 0, at
        try:
            world.take(record)
        except KilledError:
            world.die()
            world.take(_as_repeated(world, record))
            check(world)
            assert world.broken == []
        else:
            assert at > 5, "there is that much to be killed at"
            return
    raise AssertionError("it never ends")


def _as_repeated(world: AdoptionWorld, record: Adoption) -> Adoption:
    """What the same command goes on with: the record, unless it was killed before it wrote one."""
    known = world.records_of.get(NAME)
    return record if known is None or not known.is_under_way else known


@pytest.mark.parametrize("steps", range(11))
def test_from_any_step_there_is_a_way_back(steps: int) -> None:
    world = AdoptionWorld()
    world.fuse.at = 3 * steps + 2
    with pytest.raises(KilledError):
        world.take(world.record)
    world.die()
    world.take(undoing(world.records_of.records[NAME]))
    given_back(world)
    assert world.broken == []


def test_the_old_web_service_serves_until_the_new_one_is_ready() -> None:
    world = AdoptionWorld()
    world.records_of.put(replace(world.record, stage=Stage.STORED))
    service = world.objects.apply(world.service, ORIGIN).resource
    assert world.build(service).published == BESIDE
    world.converge()
    assert world.side(PROJECT) == {"database": True, "worker": True, "migrate": False, "web": True}
    assert world.side(world.own) == {"web": True}, (
        "databases are left to the project until they are given over"
    )


def test_both_sides_answer_until_it_is_continued() -> None:
    world = AdoptionWorld()
    for _ in range(2):
        # Repeated, it takes no further step.
        world.take(world.records_of.get(NAME) or world.record, last=Stage.BESIDE)
        assert world.side(PROJECT) == {"database": True, "worker": True, "migrate": False, "web": True}
        assert world.side(world.own) == {"web": True}
        assert world.build(world.service).published == BESIDE
    world.take(world.records_of.records[NAME])
    adopted(world)
    assert world.broken == []


def test_a_database_of_the_project_that_dies_is_started_again() -> None:
    world = AdoptionWorld()
    world.records_of.put(replace(world.record, stage=Stage.STORED))
    world.objects.apply(world.service, ORIGIN)
    world.converge()
    (database,) = (c for c in world.machine.of(PROJECT) if c.workload == "database")
    database.restarts = False
    world.machine.kill(database, by_hand=True)
    world.converge()
    assert database.is_up
    assert "database" not in world.side(world.own)


def test_a_former_container_that_is_started_again_is_stopped() -> None:
    """By `docker compose up` in the old directory, for instance."""
    world = AdoptionWorld()
    world.take(world.record)
    (database,) = (c for c in world.machine.of(PROJECT) if c.workload == "database")
    world.machine.start(database)
    world.converge()
    assert not database.is_up
    assert world.side(world.own)["database"]


def test_while_it_goes_back_no_pass_starts_anything() -> None:
    world = AdoptionWorld()
    world.take(world.record)
    world.records_of.put(undoing(world.records_of.records[NAME]))
    with pytest.raises(TemporaryError, match=f"is going back to project {PROJECT}; continue: vaultctl adopt"):
        world.build(world.service)


def test_after_the_end_there_is_no_way_back() -> None:
    world = AdoptionWorld()
    world.take(world.record)
    done = finish(world.records_of.records[NAME], world, world.records_of)
    assert world.side(PROJECT) == {}
    assert done.kept.volumes == {"shop_data"}, "admission still accepts them"
    with pytest.raises(ValueError, match="are gone"):
        undoing(done)
