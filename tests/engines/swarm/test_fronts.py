"""Which nodes a gateway runs on, what is said of each, and how agents get there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from reconciler.api.errors import PermanentError
from reconciler.api.resource import Metadata
from reconciler.api.vaultgateway import GatewaySpec, VaultGateway
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Container, EngineObservation, FrontNode, Health, State
from reconciler.core.desired.stack import Role, Site, Stack
from reconciler.core.plan.operations import CreateReplicas
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.cli import ComposeCli
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.compose.reads import target_of
from reconciler.engines.errors import EngineAwayError
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.agents import AgentServices, agent_names
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.fronts import NodeEngine, SwarmFronts
from reconciler.engines.swarm.rows import read_nodes
from reconciler.proxy.haproxy.gateway.containers import gateway_stack
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket

NOTHING = EngineObservation(())
PATIENCE: Final = 20.0
"""Seconds after which looks that wait for each other are taken for looks in a row."""


def node(id: str, name: str, **labels: str) -> Node:
    return Node(id, name, labels=labels, address=f"10.0.0.{id[-1]}")


def haproxy(name: str) -> Container:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Container(name, name, "haproxy", Role.PROXY, "v1", State.RUNNING, Health.NONE, now, slot=1)


def stack_for(**selector: str) -> Stack:
    gateway = VaultGateway(
        metadata=Metadata(name="main"), spec=GatewaySpec.model_validate({"nodeSelector": selector})
    )
    return gateway_stack(gateway, Site(Path("/state/gateways/main"), 99, 99), (), "", b"")


@dataclass
class World:
    """Three nodes, two of which have the label `edge`; and a stand-in for everything that fronts ask."""

    there: Mapping[str, Node] = field(
        default_factory=lambda: {
            each.id: each
            for each in (node("n1", "a", edge="yes"), node("n2", "b", edge="yes"), node("n3", "c"))
        }
    )
    deployed: dict[str, bool] = field(default_factory=lambda: {"n1": True, "n2": True})
    without_token: set[str] = field(default_factory=set)
    starting: set[str] = field(default_factory=set)
    invited_elsewhere: set[str] = field(default_factory=set)
    troubles: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    runs: dict[str, EngineObservation] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def nodes(self) -> Mapping[str, Node]:
        return self.there

    def current(self) -> Mapping[str, bool]:
        return self.deployed

    def enrols_here(self, of: Node) -> bool:
        return of.id not in self.invited_elsewhere

    def trouble(self, of: Node) -> str:
        return self.troubles.get(of.id, "")

    def deploy(self, to: Node, name: str, token: str) -> None:
        self.asked.append(("deploy", to.id, name, token))

    def needs_token(self, name: str, address: str) -> bool:
        return name in self.without_token

    def is_enrolled(self, name: str) -> bool:
        return name not in self.starting

    def problem(self, name: str) -> str:
        return self.problems.get(name, "")

    def invite(self, name: str, address: str) -> str:
        return f"token of {name} at {address}"

    @property
    def fronts(self) -> SwarmFronts:
        world = self

        class Fronts(SwarmFronts):
            def at(self, node: str) -> ComposeEngine:
                class There:
                    def observe(self, stack: Stack) -> EngineObservation:
                        if node not in world.runs:
                            raise EngineAwayError("the engine does not answer")
                        return world.runs[node]

                return cast("ComposeEngine", There())

        own: Any = self
        return Fronts(own, own, lambda: "n3", lambda: own, own)

    def look(self, here: EngineObservation = NOTHING, **selector: str) -> list[FrontNode]:
        return list(self.fronts.nodes(stack_for(**(selector or {"edge": "yes"})), here))


def test_only_nodes_with_all_labels_are_chosen() -> None:
    world = World(runs={"a": NOTHING, "b": NOTHING})
    assert world.look() == [FrontNode("a", seen=NOTHING), FrontNode("b", seen=NOTHING)]
    assert world.look(edge="no") == []
    assert world.look(edge="yes", disk="fast") == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"deployed": {"n1": True}}, FrontNode("b", lacks_agent=True, is_new=True, problem="its agent is deployed")),
        (
            {"deployed": {"n1": True, "n2": False}},
            FrontNode("b", lacks_agent=True, is_new=True, problem="its agent is deployed again"),
        ),
        (
            {"without_token": {"b"}},
            FrontNode("b", lacks_agent=True, is_new=True, problem="its agent is deployed again"),
        ),
        ({"starting": {"b"}}, FrontNode("b", is_new=True, problem="its agent starts")),
        (
            {"starting": {"b"}, "troubles": {"n2": "No such image: x"}},
            FrontNode("b", is_new=True, problem="its agent starts: No such image: x"),
        ),
        (
            {"starting": {"b"}, "invited_elsewhere": {"n2"}},
            FrontNode("b", lacks_agent=True, is_new=True, problem="its agent is deployed again"),
        ),
        ({"invited_elsewhere": {"n2"}, "runs": {"a": NOTHING, "b": NOTHING}}, FrontNode("b", seen=NOTHING)),
        ({"problems": {"b": "it is silent"}}, FrontNode("b", problem="it is silent")),
        ({"runs": {"a": NOTHING}}, FrontNode("b", problem="the engine does not answer")),
    ],
)  # fmt: skip
def test_a_node_that_cannot_be_looked_at_says_why_and_the_others_go_on(
    change: Mapping[str, Any], expected: FrontNode
) -> None:
    world = World(**{"runs": {"a": NOTHING, "b": NOTHING}, **change})
    assert world.look() == [FrontNode("a", seen=NOTHING), expected]


def test_a_silent_node_delays_no_look_at_the_others() -> None:
    looked = Event()

    class Silent(World):
        def problem(self, name: str) -> str:
            # It is the first one by name.
            if name == "a":
                return "it is silent" if looked.wait(PATIENCE) else "the others are not looked at meanwhile"
            looked.set()
            return ""

    assert Silent(runs={"b": NOTHING}).look() == [
        FrontNode("a", problem="it is silent"),
        FrontNode("b", seen=NOTHING),
    ]


def test_what_is_deleted_is_removed_from_the_nodes_that_answer() -> None:
    torn: list[str] = []

    class Fronts(SwarmFronts):
        def at(self, node: str) -> Any:
            return SimpleNamespace(tear_down=lambda project, volumes: torn.append(f"{project} on {node}"))

    own: Any = World(problems={"a": "it is silent"})
    with pytest.raises(EngineAwayError, match="node a: it is silent"):
        Fronts(own, own, lambda: "n3", lambda: own, own).tear_down("vault-gateway-main")
    assert torn == ["vault-gateway-main on b"]


def test_a_silent_node_that_swarm_calls_down_is_lost() -> None:
    world = World(runs={"a": NOTHING}, problems={"b": "it is silent"})
    world.there = {**world.there, "n2": replace(world.there["n2"], is_up=False)}
    assert world.look()[1] == FrontNode("b", is_down=True, problem="Swarm calls it down, and it is silent")
    world.problems.clear()
    world.runs["b"] = NOTHING
    assert world.look()[1] == FrontNode("b", seen=NOTHING), "it can be asked, whatever Swarm says"


def test_a_node_that_lost_its_label_is_left_while_something_is_there() -> None:
    left = EngineObservation((haproxy("x"),))
    world = World(
        there={"n1": node("n1", "a", edge="yes"), "n2": node("n2", "b")}, runs={"a": NOTHING, "b": left}
    )
    assert world.look()[1] == FrontNode("b", is_wanted=False, seen=left)
    world.runs["b"] = NOTHING
    assert len(world.look()) == 1
    world.problems["b"] = "it is silent"
    assert world.look()[1].seen is None


def test_what_ran_on_the_controllers_node_before_is_left() -> None:
    world = World(runs={"a": NOTHING, "b": NOTHING})
    (found,) = (each for each in world.look(EngineObservation((haproxy("x"),))) if each.name == "c")
    assert not found.is_wanted
    assert found.seen
    assert [each.node for each in found.seen.containers] == ["c"]


def test_an_agent_is_deployed_with_a_token_for_its_address() -> None:
    world = World()
    world.fronts.deploy("b")
    assert world.asked == [("deploy", "n2", "b", "token of b at 10.0.0.2")]
    with pytest.raises(EngineAwayError, match="no longer in the Swarm"):
        world.fronts.deploy("gone")


def test_a_controller_that_enrols_no_agents_says_what_to_do() -> None:
    nothing: Any = World()
    fronts = SwarmFronts(nothing, nothing, lambda: "n1", lambda: nothing, None)
    with pytest.raises(PermanentError, match="--agents ADDRESS:9444"):
        fronts.nodes(stack_for(), NOTHING)


def test_agents_have_the_names_of_their_nodes() -> None:
    nodes = [node("n1", "Web.Example.org"), node("n2", "twin"), node("n3", "twin"), node("n4", "__")]
    assert agent_names(nodes) == {"n1": "web-example-org", "n2": "twin-n2", "n3": "twin-n3", "n4": "node"}
    former = replace(node("n1", "a"), is_up=False)
    assert agent_names([former]) == {"n1": "a"}
    assert agent_names([former, node("n2", "a")]) == {"n1": "a-n1", "n2": "a"}


def test_a_node_that_has_joined_again_has_the_name_of_its_agent() -> None:
    rows = [
        {"ID": id, "Spec": {}, "Status": {"State": state}, "Description": {"Hostname": "a"}}
        for id, state in (("n1", "down"), ("n2", "ready"))
    ]
    nodes = read_nodes(rows)
    assert [each.name for each in nodes.values()] == ["a-n1", "a-n2"]
    assert agent_names(nodes.values()) == {"n1": "a-n1", "n2": "a"}


def test_the_address_of_a_leader_is_known_also_where_its_status_has_none() -> None:
    rows = [
        {"ID": "n1", "Spec": {}, "Status": {"Addr": "10.0.0.1"}},
        {"ID": "n2", "Spec": {}, "Status": {"Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "10.0.0.2:2377"}},
    ]
    assert [each.address for each in read_nodes(rows).values()] == ["10.0.0.1", "10.0.0.2"]


def test_engines_are_reached_by_agents_that_are_enrolled() -> None:
    world = World(deployed={"n1": True, "n2": False, "n3": True}, starting={"c"})
    assert world.fronts.reached().keys() == {"n1", "n2"}
    world.deployed.clear()
    assert world.fronts.reached() == {}


# Services


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        yield engine


@pytest.fixture
def services(fake: FakeEngine) -> Iterator[AgentServices]:
    with closing(DockerApi(f"unix://{fake.address}")) as docker:
        yield AgentServices(SwarmApi(docker), "vaultctl:1", lambda: "10.0.0.9:9444")


def _answer(fake: FakeEngine, path: str, document: object) -> None:
    fake.answers[f"/v{VERSION}{path}"] = (200, json.dumps(document).encode())


def test_a_token_is_a_secret_of_one_service_on_one_node(fake: FakeEngine, services: AgentServices) -> None:
    label = target_of("", query={"filters": {"label": ["com.docker.stack.namespace=vault-agents"]}})
    for kind in ("services", "secrets", "configs"):
        _answer(fake, f"/{kind}{label}", [])
    _answer(fake, "/images/vaultctl:1/json", {"Id": "sha256:one", "RepoDigests": []})
    fake.answer_sent = lambda method, target: (200, b'{"ID": "made"}')
    services.deploy(node("n2", "b"), "b", "the-token")
    secret, service = (json.loads(body) for _, _, body in fake.sent)
    assert "the-token" not in json.dumps(service)
    task = service["TaskTemplate"]
    assert [each["SecretName"] for each in task["ContainerSpec"]["Secrets"]] == [secret["Name"]]
    assert task["Placement"]["Constraints"] == ["node.id==n2"]
    assert task["ContainerSpec"]["Image"] == "sha256:one"
    assert service["Mode"] == {"Replicated": {"Replicas": 1}}

    row = {"ID": "s1", "Spec": service}
    _answer(fake, f"/services{label}", [row])
    assert services.current() == {"n2": True}
    _answer(fake, "/images/vaultctl:1/json", {"Id": "sha256:two", "RepoDigests": []})
    assert services.current() == {"n2": False}

    _answer(fake, "/images/vaultctl:1/json", {"Id": "sha256:one", "RepoDigests": []})
    assert services.enrols_here(node("n2", "b"))
    with closing(DockerApi(f"unix://{fake.address}")) as docker:
        moved = AgentServices(SwarmApi(docker), "vaultctl:1", lambda: "10.0.0.8:9444")
        assert moved.current() == {"n2": True}, "one that has enrolled needs no other address"
        assert not moved.enrols_here(node("n2", "b"))


@pytest.mark.parametrize("name", ["ip-172-31-32-123-eu-central-1-compute-internal", "n" * 63])
def test_an_agent_of_a_node_with_a_long_name_can_be_deployed(
    fake: FakeEngine, services: AgentServices, name: str
) -> None:
    """A Swarm takes 64 characters of a secret's name, and 63 of a service's."""
    label = target_of("", query={"filters": {"label": ["com.docker.stack.namespace=vault-agents"]}})
    for kind in ("services", "secrets", "configs"):
        _answer(fake, f"/{kind}{label}", [])
    fake.answer_sent = lambda method, target: (200, b'{"ID": "made"}')
    services.deploy(node("n2", name), name, "the-token")
    secret, service = (json.loads(body) for _, _, body in fake.sent)
    assert len(secret["Name"]) <= 64
    assert len(service["Name"]) <= 63
    assert service["Name"].startswith("vault-agents-")


def test_a_holder_joins_overlays_that_compose_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of a node that is no manager lists none that no container there is in."""
    plain, done = stack_for(), list[object]()
    stack = gateway_stack(
        VaultGateway(metadata=Metadata(name="main"), spec=GatewaySpec.model_validate({"nodeSelector": {}})),
        plain.site,
        ("vault-a_net", "vault-b_net"),
        "",
        b"",
    )
    holder = replace(haproxy("gateway-1"), workload="gateway", role=Role.GATEWAY, state=State.CREATED)
    seen = EngineObservation((holder, replace(haproxy("haproxy-1"), state=State.CREATED)))

    def create(self: object, given: Stack, requests: object) -> None:
        done.append((tuple(given.document["networks"]), given.document["services"]["gateway"]["networks"]))

    monkeypatch.setattr(ComposeEngine, "create", create)
    monkeypatch.setattr(ComposeEngine, "observe", lambda self, stack: seen)
    monkeypatch.setattr(ComposeEngine, "connect", lambda self, stack, request: done.append(str(request)))
    agents = cast("Any", World())
    agents.engine, agents.give_files = (
        lambda node: "unix:///nowhere.sock",
        lambda node, site: done.append(node),
    )
    with closing(NodeEngine("c", agents)) as engine:
        wanted = (CreateReplicas(workload="gateway", count=1, existing=0, cause=Cause.MISSING),)
        engine.create(stack, wanted)
    assert done == [
        "c",
        (("gateway-net",), ["gateway-net"]),
        "connect gateway-1 to vault-a_net (missing)",
        "connect gateway-1 to vault-b_net (missing)",
    ]


def test_engines_of_two_nodes_read_no_file_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told at the same time, each to make a HAProxy in a slot of its own."""
    stack = replace(stack_for(), site=Site(tmp_path, -1, -1))
    read: dict[str, tuple[set[Path], str]] = {}

    def compose(self: object, *, compose_files: list[Path], **_: object) -> Any:
        up = SimpleNamespace(up=lambda *_, **__: None)
        read[name] = set(compose_files), "".join(each.read_text() for each in compose_files)
        return SimpleNamespace(compose=up)

    monkeypatch.setattr(ComposeCli, "_compose", compose)
    agents = cast("Any", World())
    agents.engine = lambda node: "unix:///nowhere.sock"
    for name, slot in (("a", 1), ("b", 2)):
        with closing(NodeEngine(name, agents)) as engine:
            engine._cli.create(stack, {"haproxy": 1}, {"services": {"haproxy": {"labels": {"slot": slot}}}})
    assert read["a"][0].isdisjoint(read["b"][0])
    assert "slot: 1" in read["a"][1]
    assert "slot: 2" in read["b"][1]
