"""What services and tasks of a Swarm come to as instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.assess.observation import Container, Health, State
from reconciler.engines.errors import EngineError
from reconciler.engines.nodes import Drain
from reconciler.engines.swarm.rows import read_instances, read_nodes

SERVICE = "a" * 25
NODES = read_nodes(
    {
        "ID": f"n{number}",
        "Spec": {"Role": "manager", "Availability": "active", "Labels": {"zone": "z"}},
        "Description": {"Hostname": f"node{number}", "Engine": {}, "Platform": {"OS": "linux"}},
        "Status": {"State": "down" if number == 3 else "ready"},
    }
    for number in (1, 2, 3)
)


def _service(replicas: int = 1, condition: str = "any", attempts: int = 0, **marks: str) -> Mapping[str, Any]:
    policy = {"Condition": condition, "MaxAttempts": attempts}
    return {
        "ID": SERVICE,
        "CreatedAt": "2026-05-01T12:00:00.123456789Z",
        "UpdatedAt": "2026-05-01T12:05:00.123456789Z",
        "Spec": {
            "Name": "vault-shop-web-2",
            "Labels": {
                "internal.vault.role": "web",
                "internal.vault.revision": "v1-x",
                "internal.vault.workload": "web",
                "internal.vault.number": "2",
                "internal.vault.port": "8000",
                **{f"internal.vault.{name}": value for name, value in marks.items()},
            },
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"RestartPolicy": policy},
        },
    }


def _task(state: str, at: int = 1, code: int | None = None, node: str = "n1") -> Mapping[str, Any]:
    return {
        "ID": f"t{at}",
        "ServiceID": SERVICE,
        "CreatedAt": f"2026-05-01T12:01:0{at}.5Z",
        "NodeID": node,
        "DesiredState": "running",
        "Status": {
            "State": state,
            "Timestamp": f"2026-05-01T12:02:0{at}.5Z",
            "ContainerStatus": {} if code is None else {"ExitCode": code},
        },
        "NetworksAttachments": [
            {"Network": {"Spec": {"Name": "vault-shop_vault-net"}}, "Addresses": ["10.0.1.7/24"]}
        ],
    }


def _read(service: Mapping[str, Any], *tasks: Mapping[str, Any]) -> Container:
    (found,) = read_instances([service], tasks, NODES, {"vault-shop_vault-net": "vault-net"})
    return found


def test_an_instance_has_the_facts_of_its_service_and_the_address_of_its_task() -> None:
    found = _read(_service(image="sha256:1"), _task("running", node="n2"))
    assert (found.id, found.name, found.workload, found.number) == (SERVICE, "vault-shop-web-2", "web", 2)
    assert (found.revision, found.port, found.image, found.node) == ("v1-x", 8000, "sha256:1", "node2")
    assert found.addresses == {"vault-net": "10.0.1.7"}
    assert found.created.isoformat() == "2026-05-01T12:00:00+00:00"
    assert found.started is not None
    assert found.started.isoformat() == "2026-05-01T12:02:01.500000+00:00"


@pytest.mark.parametrize(
    ("service", "tasks", "state", "health", "code", "stopping"),
    [
        (_service(0), [], State.CREATED, Health.NONE, None, False),
        (_service(1), [], State.CREATED, Health.NONE, None, False),
        (_service(1), [_task("new")], State.CREATED, Health.NONE, None, False),
        (_service(1), [_task("pending")], State.RUNNING, Health.STARTING, None, False),
        (_service(1), [_task("preparing")], State.RUNNING, Health.STARTING, None, False),
        (_service(1), [_task("starting")], State.RUNNING, Health.STARTING, None, False),
        (_service(1), [_task("running")], State.RUNNING, Health.NONE, None, False),
        (_service(1, checked="true"), [_task("running")], State.RUNNING, Health.HEALTHY, None, False),
        (_service(0, stopped="…"), [_task("running")], State.RUNNING, Health.NONE, None, True),
        (_service(0), [_task("running")], State.RUNNING, Health.NONE, None, True),
        (_service(0, stopped="…"), [], State.EXITED, Health.NONE, None, True),
        (_service(0, stopped="…"), [_task("running", node="n3")], State.EXITED, Health.NONE, None, True),
        # A job may go on there.
        (
            _service(0, stopped="…", role="job"),
            [_task("running", node="n3")],
            State.RUNNING,
            Health.UNHEALTHY,
            None,
            True,
        ),
        (
            _service(0, stopped="…", role="job"),
            [_task("orphaned", node="n3")],
            State.EXITED,
            Health.NONE,
            None,
            True,
        ),
        (_service(1), [_task("failed", 1, 7)], State.RESTARTING, Health.NONE, 7, False),
        (_service(1), [_task("failed", 1, 7), _task("ready", 2)], State.RESTARTING, Health.NONE, 7, False),
        (_service(1), [_task("failed", 1, 7), _task("running", 2)], State.RUNNING, Health.NONE, None, False),
        (_service(1), [_task("rejected")], State.RESTARTING, Health.NONE, None, False),
        (_service(1, "none"), [_task("failed", 1, 3)], State.EXITED, Health.NONE, 3, False),
        (_service(1, "none"), [_task("complete")], State.EXITED, Health.NONE, 0, False),
        (_service(1, "on-failure"), [_task("complete")], State.EXITED, Health.NONE, 0, False),
        (_service(1, "on-failure"), [_task("failed", 1, 3)], State.RESTARTING, Health.NONE, 3, False),
        (
            _service(1, "on-failure", 1),
            [_task("failed", 1, 3), _task("failed", 2, 4)],
            State.EXITED,
            Health.NONE,
            4,
            False,
        ),
        # A node that is down: Swarm moves the task after a while, and then it starts elsewhere.
        (_service(1), [_task("running", node="n3")], State.RUNNING, Health.UNHEALTHY, None, False),
        (
            _service(1),
            [_task("running", 1, node="n3"), _task("preparing", 2)],
            State.RUNNING,
            Health.STARTING,
            None,
            False,
        ),
    ],
)
def test_the_newest_task_says_how_an_instance_is(
    service: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    state: State,
    health: Health,
    code: int | None,
    stopping: bool,
) -> None:
    found = _read(service, *tasks)
    assert (found.state, found.health, found.exit_code, found.stopping) == (state, health, code, stopping)
    assert bool(found.addresses) is (state is State.RUNNING)
    assert (found.ended is not None) is (state is State.EXITED)


def test_a_node_has_what_swarm_tells_of_it() -> None:
    row = {
        "ID": "n1",
        "CreatedAt": "2026-05-01T12:00:00.5Z",
        "Spec": {
            "Role": "manager",
            "Availability": "pause",
            "Labels": {"zone": "z", "internal.vault.drain": "2026-05-02T12:00:00+00:00"},
        },
        "Description": {
            "Hostname": "node1",
            "Platform": {"OS": "linux", "Architecture": "x86_64"},
            "Resources": {"NanoCPUs": 4_000_000_000, "MemoryBytes": 1024},
            "Engine": {"EngineVersion": "26.1.5", "Labels": {"disk": "ssd"}},
        },
        "Status": {"State": "ready", "Addr": "0.0.0.0"},
        "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "10.0.0.1:2377"},
    }
    node = read_nodes([row], "n1")["n1"]
    assert (node.name, node.is_up, node.takes_tasks, node.is_own) == ("node1", True, False, True)
    assert (node.is_manager, node.is_leader, node.is_reachable) == (True, True, True)
    assert (node.address, node.cpus, node.memory, node.engine) == ("10.0.0.1", 4, 1024, "26.1.5")
    assert (node.labels["zone"], node.engine_labels) == ("z", {"disk": "ssd"})
    assert node.drain == Drain(datetime(2026, 5, 2, 12, tzinfo=UTC))
    assert [NODES[f"n{number}"].is_up for number in (1, 2, 3)] == [True, True, False]
    assert "heartbeat" not in NODES["n1"].problem
    assert NODES["n3"].problem == "is down: no reason is given"


def test_a_drain_that_others_have_written_has_a_time_all_the_same() -> None:
    row = {"ID": "n1", "Spec": {"Role": "worker", "Labels": {"internal.vault.drain": "soon"}}}
    drain = read_nodes([row])["n1"].drain
    assert drain is not None
    assert drain.since.year == 1970


def test_two_nodes_of_one_host_name_have_two_names() -> None:
    rows = [
        {"ID": f"{letter}" * 25, "Spec": {"Role": "worker"}, "Description": {"Hostname": "vm"}}
        for letter in "ab"
    ]
    assert [node.name for node in read_nodes(rows).values()] == ["vm-aaaaaa", "vm-bbbbbb"]
    assert {node.hostname for node in read_nodes(rows).values()} == {"vm"}


@pytest.mark.parametrize(
    "broken", [{"ID": "x"}, {**_service(), "Spec": {}}, {**_service(), "CreatedAt": "never"}]
)
def test_a_service_that_is_none_is_an_error_in_one_sentence(broken: Mapping[str, Any]) -> None:
    with pytest.raises(EngineError, match="was not understood"):
        read_instances([broken], [], NODES, {})
    with pytest.raises(EngineError, match="was not understood"):
        read_nodes([{"ID": "x"}])
