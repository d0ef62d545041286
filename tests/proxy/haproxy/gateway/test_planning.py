"""Plans of a gateway as text: what is done next for what was seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.resource import Metadata
from reconciler.api.route import Route
from reconciler.api.vaultgateway import GatewaySpec, Listener, Readiness, VaultGateway
from reconciler.core.assess.assessment import assess
from reconciler.core.assess.observation import (
    Admin,
    Container,
    EngineObservation,
    FrontNode,
    Health,
    Observation,
    ProxyInstance,
    ProxyObservation,
    ProxyWorker,
    Pull,
    Server,
    State,
)
from reconciler.core.desired.stack import Probe, Role, Site, Stack
from reconciler.core.plan.operations import Plan
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import Table, settle
from reconciler.proxy.haproxy.gateway.containers import gateway_stack
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway
from reconciler.proxy.haproxy.gateway.maps import maps_of
from reconciler.proxy.haproxy.gateway.on_nodes import for_all, silent_on
from reconciler.proxy.haproxy.gateway.planning import plan_gateway
from reconciler.proxy.haproxy.gateway.pool_file import PoolSettings, WrittenPool
from reconciler.proxy.haproxy.gateway.pools import SPARES, Need, PoolKind, pool_names
from reconciler.proxy.haproxy.gateway.sight import Leftover, Sight
from reconciler.proxy.haproxy.gateway.wanted import want

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
SITE = Site(Path("/state/gateways/main"), 99, 99)
POOLS = pool_names(SPARES)
NETWORK = "vault-files_vault-net"
HTTP = Listener(name="http", port=80, protocol="HTTP")
SSH = Listener(name="ssh", port=22, protocol="TCP")
SPEC = GatewaySpec(listeners=(HTTP,), drain_seconds=10.0)
ON_HOST = SPEC.model_copy(update={"network": "host"})
FILES = Need("files", 0, PoolKind.HTTP)

SETTINGS = PoolSettings(Probe("/", "localhost", 2.0), 30.0)


def table_of(*services: str, spec: GatewaySpec = SPEC) -> Table:
    claimants = [Claimant(name, NOW, (Route(hostnames=(f"{name}.test",)),)) for name in services]
    return settle({"main": spec}, claimants)[0]["main"]


def stack_of(spec: GatewaySpec, *networks: str) -> Stack:
    return gateway_stack(VaultGateway(metadata=Metadata(name="main"), spec=spec), SITE, networks, "", b"")


@dataclass
class Scene:
    """A gateway that serves `files`, and is as it should be; a test changes something."""

    spec: GatewaySpec = SPEC
    table: Table = field(default_factory=lambda: table_of("files"))
    networks: tuple[str, ...] = (NETWORK,)
    services: Collection[str] = ("files",)
    containers: list[Container] = field(default_factory=list)
    written: WrittenGateway = field(default_factory=WrittenGateway)
    slots: tuple[int, ...] = (1,)
    structure: str = ""
    leftovers: Mapping[str, Leftover] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    mute: Collection[str] = ()
    running_maps: Mapping[str, Mapping[str, str]] | None = None
    is_busy: bool = False
    unfilled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    damaged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nodes: tuple[FrontNode, ...] = ()
    places: Mapping[int, str] = field(default_factory=dict)
    readiness: Mapping[str, Server] = field(default_factory=dict)

    def plan(self) -> str:
        return str(self.planned())

    def planned(self) -> Plan:
        stack = stack_of(self.spec, *self.networks)
        wanted = want(self.spec, self.table, self.written, quiet=False)
        instances = (
            *(self._instance(c) for c in self.containers if c.slot and c.state is State.RUNNING),
            *silent_on(self.nodes, self.places),
        )
        maps = self.written.maps if self.running_maps is None else self.running_maps
        sight = Sight(
            written=self.written,
            slots=self.slots,
            places=self.places,
            instances=instances,
            maps={i.container: maps for i in instances if i.answering and not self.is_busy},
            leftovers=self.leftovers,
            unfilled=self.unfilled,
            damaged=self.damaged,
            readiness=self.readiness,
        )
        written = self.written.structure if self.written.image == self.spec.image else None
        proxy = ProxyObservation(wanted.structure, written or None, {}, instances)
        seen = EngineObservation(tuple(self.containers), nodes=self.nodes, **self.engine)
        assessment = assess(for_all(stack, self.nodes), Observation(seen, proxy), NOW)
        each = stack if self.nodes else None
        return plan_gateway(assessment, self.spec, wanted, sight, self.services, each=each)

    def _instance(self, container: Container) -> ProxyInstance:
        if container.id in self.mute:
            return ProxyInstance(container.id, answering=False, silent=1.0)
        structure = self.structure or self.written.structure
        return ProxyInstance(container.id, True, structure, (ProxyWorker(1, True, ()),))


def container(name: str, spec: GatewaySpec = SPEC, **fields: Any) -> Container:
    role = Role.GATEWAY if name.startswith("gateway") else Role.PROXY
    (workload,) = stack_of(spec).of(role)
    made = Container(
        id=name,
        name=name,
        workload=workload.name,
        role=role,
        revision=workload.revision,
        state=State.RUNNING,
        health=Health.NONE,
        created=LONG_AGO,
        started=LONG_AGO,
    )
    if role is Role.GATEWAY:
        addresses = {"gateway-net": "10.0.0.2", NETWORK: "10.0.1.2"}
        ports = frozenset(listener.port for listener in spec.listeners)
        return replace(made, **{"addresses": addresses, "published": ports, **fields})
    joined = {} if spec.network == "host" else {"joined": "gateway-1"}
    return replace(made, **{"slot": int(name.rpartition("-")[2]), **joined, **fields})


def as_written(spec: GatewaySpec = SPEC, *services: str) -> WrittenGateway:
    table = table_of(*(services or ("files",)), spec=spec)
    made = want(spec, table, WrittenGateway(), quiet=False)
    pools = dict.fromkeys(POOLS, WrittenPool())
    return WrittenGateway(made.structure, spec.image, pools, made.held, made.maps)


def running(spec: GatewaySpec = SPEC, **fields: Any) -> Scene:
    proxies = [container("haproxy-1", spec)]
    holders = [] if spec.network == "host" else [container("gateway-1", spec)]
    return Scene(**{"spec": spec, "containers": [*holders, *proxies], "written": as_written(spec), **fields})


def test_a_gateway_that_is_as_it_should_be_is_left_alone() -> None:
    assert running().plan() == "nothing to do"
    assert running(ON_HOST).plan() == "nothing to do"


def test_the_first_thing_is_written_before_anything_runs() -> None:
    assert (
        Scene(slots=()).plan()
        == """\
[1] write 1 routes, with other pools for files (missing)
[2] write gateway.cfg with 136 pools (missing)
[3] create 1 × gateway (missing)"""
    )


def test_a_slot_is_named_before_its_haproxy_is_created() -> None:
    scene = running(slots=())
    del scene.containers[1]
    assert (
        scene.plan()
        == """\
[1] name slots 1 (missing)
[2] create haproxy in slot 1 (missing)"""
    )


def test_on_the_host_nothing_holds_a_namespace() -> None:
    assert (
        Scene(ON_HOST, slots=()).plan()
        == """\
[1] write 1 routes, with other pools for files (missing)
[2] write gateway.cfg with 136 pools (missing)
[3] name slots 1 (missing)
[4] create haproxy in slot 1 (missing)"""
    )


def test_a_service_that_comes_needs_no_reload() -> None:
    assert (
        running(table=table_of("files", "wiki")).plan()
        == """\
[1] write 2 routes, with other pools for wiki (stale)
[2] change routes of haproxy-1 (stale)"""
    )


def test_a_route_that_changes_leaves_pools_alone() -> None:
    route = Route(hostnames=("files.test",), path="/x")
    table = settle({"main": SPEC}, [Claimant("files", NOW, (route,))])[0]["main"]
    assert (
        running(table=table).plan()
        == """\
[1] write 1 routes (stale)
[2] change routes of haproxy-1 (stale)"""
    )


def test_maps_that_were_changed_by_others_are_put_right() -> None:
    maps = {**as_written().maps, "routes": {}}
    assert running(running_maps=maps).plan() == "[1] change routes of haproxy-1 (stale)"


def test_a_map_that_an_older_worker_does_not_have_is_not_changed() -> None:
    maps = {name: entries for name, entries in as_written().maps.items() if name != "cors"}
    assert running(running_maps=maps).plan() == "nothing to do"


def test_a_haproxy_that_is_too_busy_to_tell_its_routes_is_asked_again() -> None:
    assert running(is_busy=True).plan() == "waiting: haproxy-1 has not told its routes"


def test_routes_do_not_move_before_a_haproxy_has_the_replicas() -> None:
    maps = {**as_written().maps, "routes": {"files.test/": "files.0|z001|~|0"}}
    scene = running(running_maps=maps, unfilled={"haproxy-1": ("h001",)})
    assert scene.plan() == "waiting: haproxy-1 does not have the replicas of pool h001 yet"
    scene.unfilled = {}
    assert scene.plan() == "[1] change routes of haproxy-1 (stale)"


def test_another_structure_is_a_reload_and_routes_do_not_wait_for_it() -> None:
    spec = SPEC.model_copy(update={"access_log": True})
    scene = replace(running(), spec=spec, table=table_of("files", "wiki"))
    assert (
        scene.plan()
        == """\
[1] write 2 routes, with other pools for wiki (stale)
[2] change routes of haproxy-1 (stale)
[3] write gateway.cfg with 136 pools (outdated)
[4] reload haproxy-1 (outdated)"""
    )


def test_another_image_takes_over_and_the_old_one_leaves() -> None:
    spec = SPEC.model_copy(update={"image": "haproxy:3.2"})
    scene = replace(running(), spec=spec)
    assert (
        scene.plan()
        == """\
[1] write gateway.cfg with 136 pools (outdated)
[2] name slots 1, 2 (stale)
[3] create haproxy in slot 2, taking over from slot 1 (outdated)"""
    )

    scene.written = replace(scene.written, image="haproxy:3.2")
    scene.containers.append(container("haproxy-2", spec))
    assert replace(scene, slots=(1, 2)).plan() == "[1] stop haproxy-1 (outdated)"


def test_on_the_host_another_image_takes_over_as_well() -> None:
    spec = ON_HOST.model_copy(update={"image": "haproxy:3.2"})
    assert (
        replace(running(ON_HOST), spec=spec).plan()
        == """\
[1] write gateway.cfg with 136 pools (outdated)
[2] name slots 1, 2 (stale)
[3] create haproxy in slot 2, taking over from slot 1 (outdated)"""
    )


def test_an_image_that_is_not_there_keeps_no_route_waiting() -> None:
    spec = SPEC.model_copy(update={"image": "haproxy:3.2"})
    missing = {"missing_images": frozenset({"haproxy:3.2"})}
    scene = replace(running(), spec=spec, table=table_of("files", "wiki"), engine=missing)
    assert (
        scene.plan()
        == """\
[1] write 2 routes, with other pools for wiki (stale)
[2] change routes of haproxy-1 (stale)
[3] pull haproxy:3.2 (missing)"""
    )
    scene.engine["pulls"] = {"haproxy:3.2": Pull(running=True)}
    assert "waiting: image haproxy:3.2 is being pulled" in scene.plan()


def test_a_port_that_is_taken_blocks_and_says_who_has_it() -> None:
    taken = {"taken_ports": {80: "process nginx (pid 7)"}}
    told = "blocked: port 80 is taken by process nginx (pid 7); free it or set another port in spec.listeners"
    routes = "[1] write 1 routes, with other pools for files (missing)"
    assert Scene(slots=(), engine=taken).plan() == f"{routes}\n{told}"
    assert Scene(ON_HOST, slots=(), engine=taken).plan() == f"{routes}\n{told}"


def test_a_new_listener_of_a_published_gateway_takes_the_place_of_the_old_one() -> None:
    """Both publish port 80, so for a moment there is none."""
    spec = SPEC.model_copy(update={"listeners": (HTTP, SSH)})
    scene = replace(running(), spec=spec)
    assert (
        scene.plan()
        == """\
[1] write gateway.cfg with 136 pools (outdated)
[2] create 1 × gateway (outdated)"""
    )

    new = container("gateway-2", spec, state=State.CREATED, started=None, addresses={})
    scene.written = replace(
        scene.written, structure=want(spec, scene.table, scene.written, quiet=False).structure
    )
    scene.containers.insert(0, new)
    assert scene.plan() == "[1] stop gateway-1 (outdated)"
    stopping = replace(scene.containers[1], stopping=True)
    scene.containers[1] = stopping
    assert "start gateway-2" not in scene.plan()
    scene.containers[1] = replace(stopping, state=State.EXITED, exit_code=137)
    assert "start gateway-2 (missing)" in scene.plan()


def test_on_the_host_a_new_listener_is_a_reload() -> None:
    spec = ON_HOST.model_copy(update={"listeners": (HTTP, SSH)})
    assert (
        replace(running(ON_HOST), spec=spec).plan()
        == """\
[1] write gateway.cfg with 136 pools (outdated)
[2] reload haproxy-1 (outdated)"""
    )


def test_a_gateway_joins_the_networks_of_its_services_and_leaves_those_of_others() -> None:
    scene = running(networks=(NETWORK, "vault-wiki_vault-net"))
    assert scene.plan() == "[1] connect gateway-1 to vault-wiki_vault-net (detached)"

    scene = running(networks=())
    scene.containers[0].addresses["monitoring"] = "10.9.0.2"  # type: ignore[index]
    assert scene.plan() == f"[1] disconnect gateway-1 from {NETWORK} (surplus)"


def test_one_that_moves_from_the_host_behind_published_ports_frees_them_first() -> None:
    scene = replace(running(ON_HOST), spec=SPEC)
    scene.engine = {"taken_ports": {80: "process haproxy (pid 7)"}}
    assert "stop haproxy-1 (outdated)" in scene.plan()
    assert "blocked" not in scene.plan()


def leftover(**fields: Any) -> dict[str, Leftover]:
    return {"h009": Leftover(**{"servers": ("a", "b"), "sessions": 0, "since": 0.0, **fields})}


def held_by_wiki(**fields: Any) -> Scene:
    """Its route is gone, and its pool still has servers."""
    written = as_written()
    old = {**written.held, Need("wiki", 0, PoolKind.HTTP): "h009"}
    pools = {**written.pools, "h009": None}
    services = fields.pop("services", ("files", "wiki"))
    return running(
        written=replace(written, held=old, pools=pools), leftovers=leftover(**fields), services=services
    )


@pytest.mark.parametrize(
    ("left", "plan"),
    [
        ({"current": ("a", "b"), "sessions": 3}, "[1] drain pool h009 of 2 servers (surplus: wiki)"),
        ({"sessions": 3, "since": 4.0}, "nothing to do"),
        ({"sessions": 0}, "[1] empty pool h009 (surplus: wiki)"),
        ({"sessions": 3, "since": 10.0}, "[1] empty pool h009, cutting 3 sessions (surplus: wiki)"),
    ],
)
def test_a_pool_that_no_route_leads_to_is_drained_and_then_empty(left: dict[str, Any], plan: str) -> None:
    assert held_by_wiki(**left).plan() == plan


def test_a_pool_that_is_spare_already_is_not_made_so_again() -> None:
    scene = held_by_wiki(servers=())
    scene.written = replace(scene.written, pools={**scene.written.pools, "h009": WrittenPool()})
    assert scene.plan() == "[1] write 1 routes, with other pools for wiki (stale)"


def test_a_pool_that_a_haproxy_still_leads_to_is_left_to_its_service() -> None:
    scene = held_by_wiki(current=("a", "b"))
    scene.running_maps = {**scene.written.maps, "routes": {"wiki.test/": "wiki.0|h009|~|0"}}
    assert scene.plan() == "[1] change routes of haproxy-1 (stale)"


def test_a_pool_is_spare_when_no_haproxy_has_a_server_of_it() -> None:
    scene = held_by_wiki(servers=())
    scene.written = replace(scene.written, pools={**scene.written.pools, "h009": WrittenPool(SETTINGS)})
    assert "] make pool h009 spare (surplus: wiki)" in scene.plan()


def test_a_pool_whose_service_is_gone_has_nothing_to_wait_for() -> None:
    left = {"current": ("a", "b"), "sessions": 3}
    assert held_by_wiki(services=("files",), **left).plan() == (
        "[1] empty pool h009, cutting 3 sessions (surplus: wiki)"
    )


def test_no_pool_is_emptied_while_a_haproxy_is_about_to_read_the_files() -> None:
    """It would have servers of a pool that is looked at no longer, because the files say that it is spare."""
    scene = held_by_wiki(sessions=0)
    assert "empty pool" in scene.plan()
    scene.containers.append(
        container("haproxy-2", slot=2, joined="gateway-1", state=State.CREATED, started=None)
    )
    assert "empty pool" not in scene.plan()


def test_no_pool_is_emptied_while_a_haproxy_does_not_answer() -> None:
    scene = held_by_wiki(sessions=0)
    scene.mute = {"haproxy-1"}
    assert "empty" not in scene.plan()


def test_no_pool_is_emptied_while_a_haproxy_has_not_told_where_its_routes_lead() -> None:
    scene = held_by_wiki(servers=("a", "b"), current=("a", "b"))
    assert "drain pool h009" in scene.plan()
    scene.is_busy = True
    assert "h009" not in scene.plan()


def test_a_pool_that_is_needed_again_is_left_alone() -> None:
    scene = held_by_wiki(current=("a",))
    scene.table = table_of("files", "wiki")
    assert "pool" not in scene.plan().replace("other pools", "").replace("120 pools", "")


def test_maps_are_those_of_the_table() -> None:
    assert as_written().maps == maps_of(table_of("files"), {"files.0": "h001"}, {})


# On several nodes

ON_NODES = SPEC.model_copy(update={"node_selector": {"edge": "yes"}})


def node(name: str, slot: int, *containers: Container, **fields: Any) -> FrontNode:
    """A node with a gateway and a HAProxy in this slot, or with these containers instead."""
    usual = (
        container("gateway-1", ON_NODES, id=f"{name}-gateway"),
        container(f"haproxy-{slot}", ON_NODES, id=f"{name}-haproxy", joined=f"{name}-gateway"),
    )
    mine = tuple(replace(each, node=name, name=f"{name}-{each.name}") for each in containers or usual)
    return FrontNode(name, **{"seen": EngineObservation(mine), **fields})


def on(*nodes: FrontNode, **fields: Any) -> Scene:
    containers = [each for node in nodes if node.seen for each in node.seen.containers]
    usual = {"slots": (1, 2), "places": {1: "a", 2: "b"}, "written": as_written(ON_NODES)}
    return Scene(**{"spec": ON_NODES, "containers": containers, "nodes": nodes, **usual, **fields})


def test_a_gateway_that_is_as_it_should_be_on_each_node_is_left_alone() -> None:
    assert on(node("a", 1), node("b", 2)).plan() == "nothing to do"


def test_a_node_without_an_agent_gets_one_before_anything_else() -> None:
    lacking = FrontNode("b", lacks_agent=True, problem="its agent is deployed")
    assert on(node("a", 1), lacking, slots=(1,), places={1: "a"}).plan() == (
        "[1] deploy the agent of node b (missing)\nwaiting: node b: its agent is deployed"
    )


def test_each_node_gets_a_gateway_and_then_a_haproxy_with_a_slot_of_its_own() -> None:
    nothing = (FrontNode("a", seen=EngineObservation(())), FrontNode("b", seen=EngineObservation(())))
    assert on(*nothing, slots=(), places={}).plan() == (
        "[1] create 1 × gateway on a (missing)\n[2] create 1 × gateway on b (missing)"
    )
    holders = [node(name, 0, container("gateway-1", ON_NODES, id=f"{name}-gateway")) for name in ("a", "b")]
    assert on(*holders, slots=(), places={}).plan() == (
        "[1] name slots 1 on a, 2 on b (missing)\n"
        "[2] create haproxy in slot 1 on a (missing)\n"
        "[3] create haproxy in slot 2 on b (missing)"
    )


def test_another_image_is_rolled_out_on_each_node_by_itself() -> None:
    newer = ON_NODES.model_copy(update={"image": "haproxy:3.2"})
    plan = on(node("a", 1), node("b", 2), spec=newer, written=as_written(newer)).plan()
    assert [line for line in plan.splitlines() if "create" in line] == [
        "[2] create haproxy in slot 3, taking over from slot 1 on a (outdated)",
        "[3] create haproxy in slot 4, taking over from slot 2 on b (outdated)",
    ]


def test_a_node_that_is_away_stays_as_it_is_and_keeps_its_slot() -> None:
    away = FrontNode("b", problem="its agent did not answer in time")
    assert on(node("a", 1), away).plan() == "waiting: node b: its agent did not answer in time"
    # Its HAProxy may still send requests there.
    leftovers = {"h001": Leftover(("one",), (), 0, 99.0)}
    table = table_of()
    written = as_written(ON_NODES)
    assert (
        "empty pool" not in on(node("a", 1), away, table=table, leftovers=leftovers, written=written).plan()
    )


def test_nothing_waits_for_a_haproxy_on_a_node_that_is_lost() -> None:
    lost = FrontNode("b", is_down=True, problem="Swarm calls it down, and its agent is silent")
    assert on(node("a", 1), lost).plan() == (
        "[1] name slots 1 on a (stale)\nwaiting: node b: Swarm calls it down, and its agent is silent"
    )
    # It is found again as it was.
    assert on(node("a", 1), node("b", 2), slots=(1,), places={1: "a"}).plan() == (
        "[1] name slots 1 on a, 2 on b (stale)"
    )


def test_a_node_that_is_no_longer_wanted_is_left_haproxies_first() -> None:
    assert on(node("a", 1), node("b", 2, is_wanted=False)).plan() == ("[1] stop b-haproxy-2 on b (surplus)")
    holder = container("gateway-1", ON_NODES, id="b-gateway")
    ended = container("haproxy-2", ON_NODES, state=State.EXITED)
    assert on(node("a", 1), node("b", 2, holder, ended, is_wanted=False)).plan() == (
        "[1] stop b-gateway-1 on b (surplus)\n[2] remove b-haproxy-2 on b (surplus)"
    )


def says(admin: Admin, since: float = 0.0) -> Server:
    return Server("self", "127.0.0.1:1", admin, admin is Admin.READY, 0, since)


READINESS = ON_NODES.model_copy(update={"readiness": Readiness(path="/-/ready", grace_seconds=10.0)})


def leaving(since: float | None, *, is_wanted: bool = False, **fields: Any) -> Plan:
    """The plan when the gateway leaves node b, whose HAProxy says so `since` then."""
    said = says(Admin.READY) if since is None else says(Admin.DRAIN, since)
    usual = {
        "readiness": {"a-haproxy": says(Admin.READY), "b-haproxy": said},
        "written": as_written(READINESS),
    }
    scene = on(node("a", 1), node("b", 2, is_wanted=is_wanted), **{"spec": READINESS, **usual, **fields})
    return scene.planned()


def test_a_haproxy_says_that_it_leaves_before_it_closes_its_ports() -> None:
    assert str(leaving(None)) == "[1] have b-haproxy-2 say that it is about to leave (surplus)"
    waiting = leaving(3.0)
    # HAProxy counts whole seconds.
    assert (waiting.operations, waiting.requeue_after) == ((), 8.0)
    assert str(leaving(11.0)) == "[1] stop b-haproxy-2 on b (surplus)"


def test_a_node_that_is_wanted_again_is_ready_again() -> None:
    assert str(leaving(3.0, is_wanted=True)) == "[1] have b-haproxy-2 say that it is ready (stale)"
    assert str(leaving(None, is_wanted=True)) == "nothing to do"


def test_a_haproxy_that_cannot_say_so_is_not_waited_for() -> None:
    # Its configuration is one without the path.
    assert str(leaving(None, readiness={})) == "[1] stop b-haproxy-2 on b (surplus)"
    # One that is busy is asked again.
    asked = leaving(None, readiness={}, mute=["b-haproxy"])
    assert (asked.operations, asked.requeue_after) == ((), 0.5)


def test_a_haproxy_from_before_the_nodes_hands_nothing_over() -> None:
    """Its sockets are in the controller's directory, which the next one does not have."""
    newer = ON_NODES.model_copy(update={"image": "haproxy:3.2"})
    plan = on(node("a", 1), spec=newer, written=as_written(newer), slots=(1,), places={}).plan()
    assert "create haproxy in slot 2 on a (outdated)" in plan
    assert "name slots 1, 2 on a (stale)" in plan


def test_a_taken_port_on_one_node_keeps_no_other_from_its_work() -> None:
    busy = FrontNode("b", seen=EngineObservation((), taken_ports={80: "process nginx"}))
    empty = FrontNode("a", seen=EngineObservation(()))
    assert on(empty, busy, slots=(), places={}).plan() == (
        "[1] create 1 × gateway on a (missing)\n"
        "waiting: node b: port 80 is taken by process nginx; free it or set another port in spec.listeners"
    )


def test_mappings_of_the_spec_are_no_part_of_the_structure() -> None:
    """They could not be in the key of a cache: no gateway with dns-01 was ever served."""
    acme = {"acceptTerms": True, "challenge": "dns-01", "dns": {"program": "nsupdate"}}
    certified = GatewaySpec.model_validate({"acme": acme, "nodeSelector": {"edge": "yes"}})
    plain = GatewaySpec.model_validate({"nodeSelector": {}})
    made = [want(each, table_of(spec=each), WrittenGateway(), quiet=False) for each in (certified, plain)]
    assert made[0].structure == made[1].structure
