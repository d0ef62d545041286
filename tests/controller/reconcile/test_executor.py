"""What a plan says is done, in its order, with as few calls as it takes, and not one after the first that failed."""

from __future__ import annotations

from threading import Barrier
from types import SimpleNamespace
from typing import Any, Final

import pytest

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.controller.reconcile.executor import execute, execute_gateway
from reconciler.controller.report.executed import Executed
from reconciler.core.assess.cause import Cause
from reconciler.core.plan.gateway_operations import (
    ChangeCertificates,
    ChangeReadiness,
    ChangeRoutes,
    ConfigureGateway,
    DeployAgent,
    DisconnectNetwork,
    DrainPool,
    EmptyPool,
    GatewayTls,
    NameSlots,
    OnNode,
    WriteCertificates,
    WriteRoutes,
)
from reconciler.core.plan.operations import (
    AddServer,
    ConfigureProxy,
    ConnectNetwork,
    CreateProxy,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    PullImage,
    RecreateContainer,
    ReloadProxy,
    RemoveContainer,
    SetWeight,
    StartContainer,
    StopContainer,
)
from reconciler.engines.errors import EngineError
from reconciler.proxy.base import NewServer
from tests.simulation.services import Wish, build_stack

STACK = build_stack(Wish("web").service())
WHY: dict[str, Any] = {"cause": Cause.MISSING}
PATIENCE: Final = 20.0
"""Seconds after which calls that wait for each other are taken for calls in a row."""


def container(id: str) -> dict[str, Any]:
    return {"container": id, "name": f"name-{id}", "workload": "web", **WHY}


class Recording:
    """Both sides; remembers every call as text and fails those that it is told to."""

    def __init__(self, failing: str = "", place: str = "") -> None:
        self.calls: list[str] = []
        self._failing = failing
        self._place = place

    def at(self, node: str) -> Recording:
        """The same, for the calls to a node."""
        made = Recording(self._failing, f"on {node} ")
        made.calls = self.calls
        return made

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> None:
            shown = [str(each) for each in (*arguments, *named.values()) if each is not STACK]
            self.calls.append(" ".join([f"{self._place}{name}", *shown]))
            if name == self._failing:
                raise EngineError("no")

        return call


def carried_out(*operations: Operation, failing: str = "") -> tuple[list[str], list[Executed]]:
    recording = Recording(failing)
    done = list(execute(STACK, operations, recording, recording, lambda: 0.0))
    return recording.calls, done


REPLICAS = CreateReplicas(workload="web", count=2, existing=1, **WHY)
CONNECTION = ConnectNetwork(**container("a"), network="vault-net", existing=1)
PROXY = CreateProxy(workload="haproxy", existing=0, slot=1, gateway="g", **WHY)


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        (PullImage(image="web:2", **WHY), "pull web:2"),
        (REPLICAS, f"create {(REPLICAS,)}"),
        (PROXY, f"create {(PROXY,)}"),
        (RecreateContainer(workload="database", **WHY), "recreate database "),
        (RecreateContainer(workload="database", image="sha256:a", **WHY), "recreate database sha256:a"),
        (StartContainer(**container("a")), "start ('a',)"),
        (StopContainer(**container("a"), grace=7.0), "stop ('a',) 7.0"),
        (RemoveContainer(**container("a")), "remove ('a',) False"),
        (CONNECTION, f"connect {CONNECTION}"),
        (ConfigureProxy(servers=(("a", "1:2"),), **WHY), "configure (('a', '1:2'),) ()"),
        (ReloadProxy(**container("a"), slot=3), "reload 3"),
        (
            AddServer(server="a", slots=(1, 2), address="1:2", trusted=True, **WHY),
            f"add_servers (1, 2) {[NewServer('a', '1:2', True, 1)]}",
        ),
        (SetWeight(server="a", slots=(1,), weight=3, **WHY), "set_weights (1,) [('a', 3)]"),
        (DrainServer(server="a", slots=(1,), **WHY), "drain_servers (1,) ['a']"),
        (DeleteServer(server="a", slots=(1,), force=False, **WHY), "delete_servers (1,) ['a'] False"),
    ],
)
def test_every_operation_is_a_call(operation: Operation, call: str) -> None:
    assert carried_out(operation)[0] == [call]


ROUTES = WriteRoutes(maps={}, held=(("h001", "web", 0),), routes=1, **WHY)
CONFIGURATION = ConfigureGateway(spec=GatewaySpec(), pools=("h001",), **WHY)
SLOTS = NameSlots(slots=(1,), **WHY)
CHANGE = ChangeRoutes(**container("a"), slot=1, maps={}, changed=("routes",))
LEAVING = ChangeReadiness(**container("a"), slot=1, ready=False)
TLS = GatewayTls(default="")
CERTIFICATES = WriteCertificates(tls=TLS, **WHY)
NEW_CERTIFICATES = ChangeCertificates(**container("a"), slot=1, tls=TLS)
DRAIN = DrainPool(pool="h001", slots=(1,), servers=("a",), **WHY)
EMPTY = EmptyPool(pool="h001", slots=(1,), servers=("a",), **WHY)
DISCONNECTION = DisconnectNetwork(**container("a"), network="vault-web_vault-net")


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        (ROUTES, f"write_routes {ROUTES}"),
        (CERTIFICATES, f"write_certificates {CERTIFICATES}"),
        (NEW_CERTIFICATES, f"change_certificates {NEW_CERTIFICATES}"),
        (CONFIGURATION, f"configure {CONFIGURATION}"),
        (SLOTS, f"name_slots {SLOTS}"),
        (CHANGE, f"change_routes {CHANGE}"),
        (LEAVING, f"change_readiness {LEAVING}"),
        (DRAIN, f"drain_pool {DRAIN}"),
        (EMPTY, f"empty_pool {EMPTY}"),
        (DISCONNECTION, f"disconnect {DISCONNECTION}"),
        (ReloadProxy(**container("a"), slot=3), "reload 3"),
        (StartContainer(**container("a")), "start ('a',)"),
        (DeployAgent(node="n", **WHY), "deploy n"),
        (OnNode.of("n", StartContainer(**container("a"))), "on n start ('a',)"),
        (OnNode.of("n", DISCONNECTION), f"on n disconnect {DISCONNECTION}"),
    ],
)
def test_every_operation_of_a_gateway_is_a_call(operation: Operation, call: str) -> None:
    recording = Recording()
    (done,) = execute_gateway(STACK, (operation,), recording, recording, lambda: 0.0, recording)
    assert (recording.calls, done.error) == ([call], None)


def test_no_operation_was_forgotten() -> None:
    # By name, since a dataclass with slots leaves the class behind that it was made from.
    def leaves(kind: type[Operation]) -> set[str]:
        below = kind.__subclasses__()
        return {kind.__name__} if not below else {leaf for each in below for leaf in leaves(each)}

    bases = {"ContainerOperation", "ServerOperation", "PoolOperation"}
    tests: tuple[Any, ...] = (test_every_operation_is_a_call, test_every_operation_of_a_gateway_is_a_call)
    tested = {type(each[0]).__name__ for test in tests for each in test.pytestmark[0].args[1]}
    assert leaves(Operation) - bases == tested


def test_neighbours_share_a_call() -> None:
    calls, done = carried_out(
        REPLICAS,
        PROXY,
        StartContainer(**container("a")),
        StartContainer(**container("b")),
        RemoveContainer(**container("c")),
        RemoveContainer(**container("d"), anonymous=True),
        RemoveContainer(**container("e"), anonymous=True),
    )
    assert calls == [
        f"create {(REPLICAS, PROXY)}",
        "start ('a', 'b')",
        "remove ('c',) False",
        "remove ('d', 'e') True",
    ]
    assert [len(each.operations) for each in done] == [2, 2, 1, 2]


def test_changes_of_servers_share_a_call_with_their_own_kind() -> None:
    why, slots = WHY, (1, 2)
    calls, done = carried_out(
        AddServer(server="a", slots=slots, address="1:2", trusted=True, **why),
        AddServer(server="b", slots=slots, address="1:3", trusted=False, weight=5, **why),
        DrainServer(server="c", slots=slots, **why),
        DrainServer(server="d", slots=slots, **why),
        DrainServer(server="d", slots=(3,), **why),
        DeleteServer(server="c", slots=slots, force=False, **why),
        DeleteServer(server="d", slots=slots, force=False, **why),
        DeleteServer(server="e", slots=slots, force=True, **why),
        StopContainer(**container("c"), grace=7.0),
        StopContainer(**container("d"), grace=7.0),
        StopContainer(**container("e"), grace=8.0),
        SetWeight(server="a", slots=slots, weight=1, **why),
        SetWeight(server="b", slots=slots, weight=2, **why),
    )
    new = [NewServer("a", "1:2", True, 1), NewServer("b", "1:3", False, 5)]
    assert calls == [
        f"add_servers (1, 2) {new}",
        "drain_servers (1, 2) ['c', 'd']",
        "drain_servers (3,) ['d']",
        "delete_servers (1, 2) ['c', 'd'] False",
        "delete_servers (1, 2) ['e'] True",
        "stop ('c', 'd') 7.0",
        "stop ('e',) 8.0",
        "set_weights (1, 2) [('a', 1), ('b', 2)]",
    ]
    assert [len(each.operations) for each in done] == [2, 2, 1, 2, 1, 2, 1, 2]


def test_the_order_is_kept() -> None:
    calls, _ = carried_out(
        StartContainer(**container("a")),
        DrainServer(server="x", slots=(1,), **WHY),
        StartContainer(**container("b")),
    )
    assert calls == ["start ('a',)", "drain_servers (1,) ['x']", "start ('b',)"]


def test_what_comes_after_a_failure_is_not_done() -> None:
    calls, done = carried_out(
        DrainServer(server="x", slots=(1,), **WHY),
        DeleteServer(server="x", slots=(1,), force=False, **WHY),
        StopContainer(**container("a"), grace=7.0),
        failing="delete_servers",
    )
    assert len(calls) == 2
    assert [each.error is None for each in done] == [True, False]


def test_nodes_do_their_operations_in_order_and_side_by_side() -> None:
    """Each first call of a node returns when all nodes have begun theirs."""
    nodes, order = ("a", "b", "c"), []
    begun = Barrier(len(nodes))

    class There:
        def __init__(self, node: str) -> None:
            self.node = node

        def start(self, containers: tuple[str, ...]) -> None:
            begun.wait(PATIENCE)
            order.append(f"{self.node} start")

        def stop(self, containers: tuple[str, ...], grace: float) -> None:
            order.append(f"{self.node} stop")

    fronts: Any = SimpleNamespace(at=There)
    operations = [
        OnNode.of(node, each)
        for node in nodes
        for each in (StartContainer(**container(node)), StopContainer(**container(node), grace=1.0))
    ]
    unused: Any = None
    done = list(execute_gateway(STACK, tuple(operations), unused, unused, lambda: 0.0, fronts))
    assert [call.operations for call in done] == [(each,) for each in operations]
    assert sorted(order) == [f"{node} {what}" for node in nodes for what in ("start", "stop")]
    assert all(order.index(f"{node} start") < order.index(f"{node} stop") for node in nodes)


def test_a_node_that_fails_is_named_and_keeps_no_other_from_its_operations() -> None:
    class There:
        def __init__(self, node: str) -> None:
            self.node = node

        def start(self, containers: tuple[str, ...]) -> None:
            if self.node != "b":
                raise EngineError(f"node {self.node}: no" if self.node == "c" else "no")

    fronts: Any = SimpleNamespace(at=There)
    operations = [
        OnNode.of(node, StartContainer(**container(f"{node}{number}")))
        for node in ("a", "b", "c")
        for number in (1, 2)
    ]
    unused: Any = None
    later = NameSlots(slots=(1,), **WHY)
    done = list(execute_gateway(STACK, (*operations, later), unused, unused, lambda: 0.0, fronts))
    assert [(str(call.operations[0]), str(call.error)) for call in done] == [
        (str(operations[0]), "node a: no"),
        (str(operations[2]), "None"),
        (str(operations[3]), "None"),
        (str(operations[4]), "node c: no"),
    ]


@pytest.mark.parametrize("kind", [ChangeRoutes, ChangeCertificates])
def test_proxies_are_told_side_by_side(kind: Any) -> None:
    begun = Barrier(3)
    waiting: Any = SimpleNamespace(
        change_routes=lambda *_: begun.wait(PATIENCE), change_certificates=lambda *_: begun.wait(PATIENCE)
    )
    named: dict[str, Any] = {"maps": {}, "changed": ()} if kind is ChangeRoutes else {"tls": TLS}
    operations = tuple(kind(**container(id), slot=1, **named) for id in ("a", "b", "c"))
    done = list(execute_gateway(STACK, operations, waiting, waiting, lambda: 0.0))
    assert [call.error for call in done] == [None] * 3


def test_without_permission_nothing_is_begun_also_between_two_calls() -> None:
    both, left = Recording(), [1.0]

    def require() -> None:
        if not left:
            raise EngineError("another controller acts")
        left.pop()

    operations = (StartContainer(**container("a")), StopContainer(grace=1.0, **container("b")))
    done = list(execute(STACK, operations, both, both, lambda: 0.0, require))
    assert [str(each.error) for each in done] == ["None", "another controller acts"]
    assert len(both.calls) == 1
