"""Faults of several machines: each is caused by a test of tests/swarm, which tells what came of it.

A test that tells is a proof by itself; only a run of `make chaos` also keeps the figures for docs/reliability.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.chaos.fault import Promise, judge
from tests.e2e.load import Load
from tests.e2e.outcome import Outcome
from tests.e2e.stage import Stage

__all__ = ["CHANGES", "MACHINE_FAULTS", "MachineFault", "suffer_together", "tell"]

KEEP: Final = "KEEP_FIGURES"
"""The variable that names the file which outcomes are added to, a line for each."""
SECONDS: Final = 900.0
"""Longer than a test takes with the making of its Swarm."""
ROOT: Final = Path(__file__).parents[2]
LEAST_RATE: Final = 300.0
"""Requests per second that a row is worth something with."""


@dataclass(frozen=True)
class MachineFault:
    """Something that happens to a Swarm, or is done to a service on it; `test` is the file in tests/swarm and the name of
    the test that causes it.
    """

    name: str
    promise: Promise
    test: str

    def __str__(self) -> str:
        return self.name


NODE_DIES: Final = MachineFault(
    "a node is killed whole: engine, HAProxy, replicas",
    Promise.GONE,
    "test_ways_in.py::test_a_node_that_dies_under_load",
)
LEADER_DIES: Final = MachineFault(
    "the leader's node is killed whole",
    Promise.GONE,
    "test_faults_under_load.py::test_the_leader_dies",
)
CONTROLLER_DIES: Final = MachineFault(
    "the controller's node is killed whole, in a rollout; another controller goes on",
    Promise.GONE,
    "test_takeover.py::test_the_node_of_the_controller_dies_in_a_rollout",
)
CONTROLLER_CUT: Final = MachineFault(
    "the controller's node is cut off, 30 s, in a rollout; another controller goes on",
    Promise.GONE,
    "test_takeover.py::test_the_node_of_the_controller_is_cut_off_in_a_rollout",
)
NODE_CUT: Final = MachineFault(
    "a node is cut off, 30 s, in a rollout",
    Promise.GONE,
    "test_faults_under_load.py::test_a_node_is_cut_off",
)
LINK_CUT: Final = MachineFault(
    "two nodes do not reach each other, 30 s; both reach the third",
    Promise.GONE,
    "test_faults_under_load.py::test_two_nodes_do_not_reach_each_other",
)
NODE_DRAINED: Final = MachineFault(
    "a node is emptied by `vaultctl drain`, HAProxy on the controller's node",
    Promise.NONE,
    "test_drain.py::test_a_drained_node_loses_no_request_and_stays_empty",
)
AGENT_AWAY: Final = MachineFault(
    "the agent of a node is silent in a rollout, 30 s",
    Promise.NONE,
    "test_ways_in.py::test_an_agent_that_is_away_for_a_while_in_a_rollout",
)
ENGINES_UPGRADED: Final = MachineFault(
    "engines of three managers are replaced by another version, node by node",
    Promise.NONE,
    "test_engine_upgrade.py::test_engines_are_upgraded_node_by_node",
)
CLOCK_OFF: Final = MachineFault(
    "the clock of one of three managers is an hour ahead, then behind; the controller's too",
    Promise.NONE,
    "test_node_clock.py::test_the_clock_of_a_node_is_an_hour_off",
)
NETWORK_REMOVED: Final = MachineFault(
    "the overlay network is removed manually, with all that is in it",
    Promise.AWAY,
    "test_faults_under_load.py::test_the_overlay_network_is_removed",
)
REGISTRY_AWAY: Final = MachineFault(
    "the registry is away, in a rollout and before one with another image",
    Promise.NONE,
    "test_faults_under_load.py::test_the_registry_is_away",
)
ADDRESS_DIES: Final = MachineFault(
    "keepalived: the node that has the address is killed whole, its network with it",
    Promise.GONE,
    "test_outer.py::test_keepalived[dies]",
)
ADDRESS_LEAVES: Final = MachineFault(
    "keepalived: the node that has the address is taken out, and comes back",
    Promise.MOVED,
    "test_outer.py::test_keepalived[leaves]",
)
DNS_DIES: Final = MachineFault(
    "DNS with three addresses: a node is killed whole, its network with it",
    Promise.GONE,
    "test_outer.py::test_dns[dies]",
)
DNS_LEAVES: Final = MachineFault(
    "DNS with three addresses: a node is taken out, and comes back",
    Promise.NONE,
    "test_outer.py::test_dns[leaves]",
)
BALANCER_DIES: Final = MachineFault(
    "balancer in front: a node is killed whole, its network with it",
    Promise.GONE,
    "test_outer.py::test_balancer[dies]",
)
BALANCER_LEAVES: Final = MachineFault(
    "balancer in front: a node is taken out, and comes back",
    Promise.NONE,
    "test_outer.py::test_balancer[leaves]",
)
MACHINE_FAULTS: Final = (
    NODE_DIES,
    LEADER_DIES,
    CONTROLLER_DIES,
    CONTROLLER_CUT,
    NODE_CUT,
    LINK_CUT,
    NODE_DRAINED,
    AGENT_AWAY,
    NETWORK_REMOVED,
    REGISTRY_AWAY,
    ENGINES_UPGRADED,
    CLOCK_OFF,
    ADDRESS_DIES,
    ADDRESS_LEAVES,
    DNS_DIES,
    DNS_LEAVES,
    BALANCER_DIES,
    BALANCER_LEAVES,
)
"""In the order of the page."""


def _change(name: str, test: str = "") -> MachineFault:
    case = f"test_a_change_under_load_through_all_nodes[{name.replace(' ', '-')}]"
    return MachineFault(f"{name}, through three nodes", Promise.NONE, f"test_ways_in.py::{test or case}")


CHANGES: Final = {
    name: _change(name, test)
    for name, test in {
        "image": "",
        "environment": "",
        "scale up": "",
        "scale down": "",
        "rotation": "",
        "Recreate": "",
        "single-active": "",
        "release that does not start": "",
        "health path": "",
        "route": "",
        "route of another service": "",
        "HAProxy image": "",
        "certificate": "test_a_certificate_changes_on_each_node",
        "release with long requests": "test_what_takes_long_keeps_its_replica_on_each_node",
        "image of a registry": "test_images_of_a_registry[good]",
        "image of a registry that does not start": "test_images_of_a_registry[bad]",
        "image that the registry does not have": "test_images_of_a_registry[none]",
        "drain of a way in, and a release": "test_a_way_in_is_drained_under_load",
    }.items()
}
"""What is done to a service while requests come in through all nodes, by its name, in the order of the page."""


def tell(
    fault: MachineFault, load: Load, stage: Stage, *, harm: float, healed: float, over: float = 0.0
) -> None:
    """Print what came of a fault, keep it if this is a run for the page, and fail if it was not as promised.

    `load` has ended. Times are monotonic seconds: when the fault began, when everything was well again, and when the fault
    was over, if that is later than its beginning.
    """
    broken = judge(fault.promise, load, stage, harm, healed)
    if len(load.shots) < LEAST_RATE * load.seconds:
        broken = (*broken, f"{len(load.shots) / load.seconds:.0f} a second, fewer than {LEAST_RATE:.0f}")
    last = max((max(0.0, shot.began - harm) for shot in load.lost), default=0.0)
    seconds = healed - max(harm, over)
    outcome = Outcome(fault.name, seconds, len(load.shots), len(load.lost), broken, (), last)
    print(f"{outcome}\n    the last one begun after {last:.1f} s")
    if path := os.environ.get(KEEP):
        with Path(path).open("a", encoding="utf-8") as told:
            told.write(f"{json.dumps(asdict(outcome))}\n")
    assert outcome.is_good, f"{outcome}\n{stage.story()}"


def suffer_together(faults: Sequence[MachineFault]) -> list[Outcome]:
    """Run the tests of these faults on one Swarm, and return what they told; a test that told nothing has never healed."""
    if not faults:
        return []
    with TemporaryDirectory(prefix="vr-figures-") as directory:
        told = Path(directory) / "outcomes"
        told.touch()
        names = [f"tests/swarm/{fault.test}" for fault in faults]
        options = ("--quiet", "--capture=no", "-p", "tests.chaos.failures")
        words = [sys.executable, "-m", "pytest", *options, *dict.fromkeys(names)]
        subprocess.run(
            words, cwd=ROOT, env=os.environ | {KEEP: str(told)}, timeout=SECONDS * len(faults), check=False
        )
        found = {
            each.harm: each for each in map(Outcome.loaded, told.read_text(encoding="utf-8").splitlines())
        }
    nothing = ("its test told nothing",)
    return [found.get(fault.name, Outcome(fault.name, inf, 0, 0, nothing, ())) for fault in faults]
