"""The managers of a simulated Swarm do what SwarmKit does when their network is cut."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from reconciler.engines.errors import EngineError
from tests.simulation.managers import LOST_SECONDS, Managers
from tests.simulation.turns import Turns

NODES = ("n1", "n2", "n3", "n4")
FIRST, LAST = LOST_SECONDS


class World:
    """A number that the managers keep."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.number = 0
        self.managers = Managers(self.turns, Random(1), NODES, lambda: self.number, lambda: None)
        self.leader = self.managers.leader
        self.others = [each for each in self.managers.managers if each != self.leader]

    def read(self, node: str) -> int:
        return self.managers.read(node, 4.0, lambda: self.number, lambda knew: int(knew))

    def write(self, node: str, number: int) -> bool:
        def happens() -> bool:
            self.number = number
            return True

        return self.managers.write(node, 4.0, happens)

    def cut_off(self, *nodes: str) -> None:
        self.managers.cut({node: int(node in nodes) for node in NODES})

    def heal(self) -> None:
        self.managers.cut(dict.fromkeys(NODES, 0))


@pytest.fixture
def world() -> World:
    return World()


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as error:
        call()
    return str(error.value)


def test_a_side_with_the_majority_and_the_leader_goes_on(world: World) -> None:
    away, there = world.others
    world.cut_off(away)
    assert world.write(there, 1)
    assert world.read("n4") == 1
    assert "does not have a leader" in refused(lambda: world.read(away))
    assert "does not have a leader" in refused(lambda: world.write(away, 2))
    world.heal()
    assert world.read(away) == 1


def test_a_leader_without_the_majority_tells_what_it_knew_and_writes_nothing(world: World) -> None:
    world.write(world.leader, 1)
    world.cut_off(world.leader)
    world.turns.sleep(1.0)
    assert "in time" in refused(lambda: world.write(world.leader, 2))
    assert world.read(world.leader) == 1
    assert "does not have a leader" in refused(lambda: world.read(world.others[0]))
    world.turns.sleep(LAST)
    assert "does not have a leader" in refused(lambda: world.read(world.leader))
    assert world.managers.leader in world.others
    assert world.write(world.others[0], 3)
    world.heal()
    assert world.read(world.leader) == 3


def test_what_it_kept_waiting_happens_late_if_it_leads_on(world: World) -> None:
    world.cut_off(world.leader)
    assert "in time" in refused(lambda: world.write(world.leader, 1))
    assert world.number == 0
    world.turns.sleep(FIRST - 5.0)
    world.heal()
    assert world.managers.leader == world.leader
    assert world.number == 1


def test_no_side_has_the_majority(world: World) -> None:
    world.managers.cut({node: at for at, node in enumerate(NODES)})
    world.turns.sleep(2 * LAST)
    for node in NODES:
        assert "does not have a leader" in refused(lambda node=node: world.write(node, 1))  # type: ignore[misc]
    world.heal()
    assert world.managers.leader == ""
    world.turns.sleep(LAST)
    assert world.write("n4", 1)
