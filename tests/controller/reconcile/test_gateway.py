"""A pass over a gateway, with its files on disk and its containers in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from metrics.recorder import Recorder
from reconciler.api import VaultService, find_condition
from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.reasons import Reason
from reconciler.api.vaultgateway import GatewaySpec, VaultGateway
from reconciler.certificates.keeper import directory_of
from reconciler.certificates.keepers import Keepers
from reconciler.certificates.order import Answer, Order, Step
from reconciler.certificates.self_signed import new_key
from reconciler.certificates.store import Store
from reconciler.controller.reconcile.gateway import GatewayWorld, reconcile
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.routing import Router
from reconciler.controller.report.journal import Journal
from reconciler.core.assess.observation import Container, EngineObservation, FrontNode
from reconciler.core.desired.stack import Probe, Role, Stack
from reconciler.core.plan.gateway_operations import ChangeRoutes
from reconciler.core.plan.operations import CreateProxy
from reconciler.engines.base import Engine
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Machine
from reconciler.proxy.haproxy.gateway.directory import read_gateway, read_places, read_slots, write_pool
from reconciler.proxy.haproxy.gateway.maps import MAPS
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways, Seen
from reconciler.proxy.haproxy.gateway.render import pool_file
from reconciler.proxy.haproxy.gateway.site import site_of
from reconciler.proxy.haproxy.stats import Info, Process
from reconciler.store.base import StoredObject, UnreadableError
from tests.controller.worlds import BEGINNING
from tests.simulation.stores import ORIGIN, MemoryObjects, MemoryRecords

HASH = "$6$salt$" + "Ab./0" * 17 + "z"
SETTINGS = PoolSettings(Probe("/healthz", "localhost", 2.0), 30.0)


class Answering(HAProxyGateways):
    """HAProxies that answer as soon as their container runs, with what they have read from the files."""

    def __init__(self) -> None:
        super().__init__(self._accept, lambda: "certificate", lambda: 0.0)
        self.workers: dict[str, Seen] = {}
        self.judged: list[str] = []
        self.refusal = ""
        self.reloads = 0

    def _accept(self, image: str, directory: Path, user: str) -> None:
        assert (directory / "gateway.cfg").exists()
        self.judged.append(image)
        if self.refusal:
            raise TemporaryError(self.refusal)

    def _ask(self, stack: Stack, container: Container, spec: GatewaySpec, *, has_tls: bool) -> Seen | None:
        if container.id not in self.workers:
            self.workers[container.id] = self._read(stack)
        return self.workers[container.id]

    def _read(self, stack: Stack) -> Seen:
        written = read_gateway(stack.site)
        info = Info(pid=len(self.workers) + 1, structure=written.structure, stopping=False, uptime=60.0)
        return Seen((Process(info, (), serving=True),), {name: dict(written.maps[name]) for name in MAPS})

    def _workers(self, *_: object) -> Any:
        return ()

    def change_routes(self, stack: Stack, request: ChangeRoutes) -> None:
        self.workers[request.container] = replace(self.workers[request.container], maps=request.maps)

    def reload(self, stack: Stack, slot: int) -> None:
        self.reloads += 1
        self.workers = {id: self._read(stack) for id in self.workers}


@dataclass
class GatewayStage:
    """A gateway `main`, and services with routes."""

    state: Path
    time: float = 0.0
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    gateways: Answering = field(default_factory=Answering)
    keepers: Keepers = field(init=False)

    def __post_init__(self) -> None:
        self.machine = Machine(lambda: self.time, self.now)
        self.engine = MemoryEngine(self.machine)
        # Without threads: what they do is tested where they are.
        self.keepers = Keepers(
            lambda name: self.state / "gateways" / name, None, {}, start=lambda thread: None
        )
        objects = self.objects.of(VAULT_GATEWAY)
        objects.directory = lambda name: self.state / "gateways" / name  # type: ignore[method-assign]
        self.mine = objects
        self.world = GatewayWorld(
            objects=self.objects,
            router=Router(self.objects),
            engine=self.engine,
            gateways=self.gateways,
            journal=Journal(self.records.of(VAULT_GATEWAY), Recorder(), VAULT_GATEWAY),
            bind="",
            key=b"",
            now=self.now,
            clock=lambda: self.time,
            keepers=self.keepers,
        )

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.time)

    def gateway(self, **spec: Any) -> None:
        listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
        document = {"metadata": {"name": "main"}, "spec": {"listeners": listeners, **spec}}
        self.mine.apply(VaultGateway.model_validate(document, by_name=False, by_alias=True), ORIGIN)

    def service(self, name: str, **route: Any) -> None:
        spec = {"plugin": "web", "route": {"hostnames": [f"{name}.test"], **route}}
        document = {
            "apiVersion": "vault.internal/v1alpha1",
            "kind": "VaultService",
            "metadata": {"name": name},
        }
        made = VaultService.model_validate({**document, "spec": spec}, by_name=False, by_alias=True)
        self.objects.apply(made, ORIGIN)

    def once(self) -> Result:
        return reconcile("main", self.world)

    def settle(self) -> list[str]:
        """Passes until nothing is left to do; what they did."""
        done: list[str] = []
        for _ in range(60):
            result = self.once()
            done += result.did.splitlines()
            if result.gone or (result.converged and not result.did):
                return done
            self.time += 0.5
            for container in list(self.machine.containers.values()):
                if container.asked:
                    self.machine.end(container.id)
        raise AssertionError(done)

    @property
    def site(self) -> Any:
        return site_of(self.mine.directory("main"), GatewaySpec())

    def ready(self) -> tuple[str, str, str]:
        found = find_condition(self.mine.status("main").conditions, "Ready")
        assert found is not None
        return found.status, found.reason, found.message

    def routes(self) -> set[str]:
        """What the only HAProxy leads somewhere."""
        (worker,) = self.gateways.workers.values()
        assert worker.maps is not None
        return set(worker.maps["routes"])

    def proxies(self) -> list[str]:
        return [c.id for c in self.machine.containers.values() if c.role is Role.PROXY and c.is_up]


@pytest.fixture
def stage(tmp_path: Path) -> GatewayStage:
    made = GatewayStage(tmp_path)
    made.gateway()
    return made


def test_a_gateway_comes_up_and_rests(stage: GatewayStage) -> None:
    stage.service("files")
    stage.settle()

    assert stage.ready() == ("True", Reason.SERVING, "1 route of 1 service")
    status = stage.mine.status("main")
    assert (status.routes, status.refused, status.observed_generation) == (1, 0, 1)
    assert read_slots(stage.site) == (1,)
    assert [str(need.service) for need in read_gateway(stage.site).held] == ["files"]
    assert stage.once() == Result(converged=True)


def test_services_come_and_go_without_a_reload(stage: GatewayStage) -> None:
    stage.settle()
    proxies = stage.proxies()
    for name in ("files", "wiki", "mail"):
        stage.service(name)
        done = stage.settle()
        assert [line.partition("] ")[2].partition(" ")[0] for line in done] == ["write", "change"]
    stage.objects.remove("wiki")
    stage.settle()

    assert stage.ready()[2] == "2 routes of 2 services"
    assert (stage.proxies(), stage.gateways.reloads, stage.gateways.judged) == (proxies, 0, ["haproxy:3.0"])
    assert stage.routes() == {"files.test/", "mail.test/"}


def test_a_service_that_gets_a_pool_is_woken(stage: GatewayStage) -> None:
    stage.settle()
    stage.service("files")
    assert [str(ref) for ref in stage.once().wakes] == ["vaultservice/files"]
    stage.settle()
    # Another path changes no pool.
    stage.service("files", path="/x")
    assert stage.once().wakes == ()


def test_services_are_woken_when_a_haproxy_comes_or_answers(stage: GatewayStage) -> None:
    stage.service("files")
    woken = []
    for _ in range(20):
        result = stage.once()
        woken.append(bool(result.wakes))
        stage.time += 0.5
    assert woken[0]
    assert not any(woken[-5:])


def test_a_new_structure_is_judged_by_the_image_before_it_is_written(stage: GatewayStage) -> None:
    stage.settle()
    stage.gateway(accessLog=True)
    stage.gateways.refusal = "unknown keyword"
    before = read_gateway(stage.site).structure
    with pytest.raises(TemporaryError, match="unknown keyword"):
        stage.once()
    assert read_gateway(stage.site).structure == before
    assert stage.ready()[0] == "Unknown"

    # Routes go on changing meanwhile.
    stage.service("files")
    with pytest.raises(TemporaryError):
        stage.once()
    assert stage.routes() == {"files.test/"}

    stage.gateways.refusal = ""
    stage.settle()
    assert stage.gateways.reloads == 1
    assert read_gateway(stage.site).structure != before


@pytest.mark.parametrize(("is_damaged", "reloads"), [(False, 1), (True, 0)])
def test_a_haproxy_without_a_pool_is_reloaded_if_that_gives_it_the_pool(
    stage: GatewayStage, is_damaged: bool, reloads: int
) -> None:
    stage.service("files")
    stage.settle()
    if is_damaged:
        (stage.site.config / pool_file("h001")).write_text("# only a comment\n")
    (id,) = stage.gateways.workers
    lacking = frozenset(read_gateway(stage.site).pools) - {"h001"}
    stage.gateways.workers[id] = replace(stage.gateways.workers[id], pools=lacking)
    stage.settle()
    assert stage.gateways.reloads == reloads


def test_an_image_change_is_a_handover(stage: GatewayStage) -> None:
    stage.settle()
    (old,) = stage.proxies()
    stage.gateway(image="haproxy:3.2")
    done = stage.settle()

    assert any("create haproxy in slot 2, taking over from slot 1" in line for line in done)
    (new,) = stage.proxies()
    assert new != old
    assert read_slots(stage.site) == (2,)


def test_a_second_service_that_claims_a_host_is_refused_and_told(stage: GatewayStage) -> None:
    stage.service("files", hostnames=["same.test"])
    stage.service("wiki", hostnames=["same.test"])
    stage.settle()

    assert stage.mine.status("main").refused == 1
    assert stage.ready()[2] == (
        "1 route of 1 service; refused: wiki: same.test/ of gateway main belongs to files, which is older; "
        "claim another host or path"
    )


def test_a_gateway_with_routes_is_not_deleted(stage: GatewayStage) -> None:
    stage.service("files")
    stage.settle()
    stage.mine.request_deletion("main", volumes=False, now=stage.now())
    stage.once()

    status, reason, message = stage.ready()
    assert (status, reason) == ("False", Reason.STILL_ROUTED)
    assert message == (
        "is not deleted while services have routes on it: files; change or delete these first, or apply the gateway "
        "again to keep it"
    )
    assert stage.proxies()

    stage.objects.remove("files")
    result = stage.once()
    assert result.gone
    assert not stage.machine.containers
    assert stage.mine.names() == ()


def test_a_deletion_that_waits_can_be_taken_back(stage: GatewayStage) -> None:
    stage.service("files")
    stage.settle()
    stage.mine.request_deletion("main", volumes=False, now=stage.now())
    stage.once()
    stage.gateway()
    stage.settle()

    assert stage.ready()[:2] == ("True", Reason.SERVING)
    stage.objects.remove("files")
    stage.settle()
    assert stage.proxies(), "it stays without routes"


def test_one_that_is_applied_again_while_it_is_removed_comes_back(
    stage: GatewayStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.settle()
    stage.mine.request_deletion("main", volumes=False, now=stage.now())
    monkeypatch.setattr(stage.mine, "remove", lambda name: stage.gateway())
    assert stage.once() == Result(requeue_after=0.0)
    stage.settle()
    assert stage.proxies()


def test_what_metrics_show_is_kept_on_the_board(stage: GatewayStage) -> None:
    stage.service("files")
    stage.service("wiki", hostnames=["files.test"])
    stage.settle()

    (seen,) = stage.world.board.snapshots()
    assert [(each.host, each.service) for each in seen.routes] == [("files.test", "files")]
    assert (seen.refused, seen.conditions["Ready"]) == (1, "True")
    kinds = {"http": 63, "sticky": 16, "compressed": 16, "sticky_compressed": 8, "tcp": 16}
    assert seen.spare_pools == kinds | {"h2c": 8, "tcp_proxy": 8}

    stage.gateway(suspend=True)
    stage.once()
    (seen,) = stage.world.board.snapshots()
    assert seen.suspended
    stage.gateway()
    for name in ("files", "wiki"):
        stage.objects.remove(name)
    stage.mine.request_deletion("main", volumes=False, now=stage.now())
    stage.settle()
    assert stage.world.board.snapshots() == ()


def test_a_suspended_gateway_is_left_alone(stage: GatewayStage) -> None:
    stage.settle()
    stage.gateway(suspend=True, accessLog=True)
    assert stage.once() == Result()
    assert stage.gateways.reloads == 0


def test_a_service_that_cannot_be_read_keeps_its_route_and_is_told(
    stage: GatewayStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.service("files")
    stage.settle()
    get = stage.objects.get

    def damaged(name: str) -> StoredObject[Any] | None:
        if name == "files":
            raise UnreadableError("files cannot be understood")
        return get(name)

    monkeypatch.setattr(stage.objects, "get", damaged)
    stage.service("wiki")
    stage.settle()

    assert set(read_gateway(stage.site).maps["routes"]) == {"files.test/", "wiki.test/"}
    assert stage.ready()[0] == "True"
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", Reason.OBJECT_UNREADABLE)
    assert degraded.message == "the routes of files stay as they are: files cannot be understood"

    monkeypatch.undo()
    stage.settle()
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert degraded.status == "False"


def test_a_gateway_that_cannot_be_read_says_so_and_serves_on(
    stage: GatewayStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.service("files")
    stage.settle()

    def damaged(name: str) -> None:
        raise UnreadableError(f"{name} cannot be understood")

    monkeypatch.setattr(stage.mine, "get", damaged)
    with pytest.raises(UnreadableError):
        stage.once()
    assert stage.ready() == ("False", Reason.OBJECT_UNREADABLE, "main cannot be understood")
    assert stage.proxies()


def test_what_cannot_be_settled_changes_nothing(stage: GatewayStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.service("files")
    stage.settle()

    def broken(name: str) -> None:
        raise PermanentError(f"{name} cannot be understood")

    stage.service("wiki")
    monkeypatch.setattr(stage.objects, "get", broken)
    with pytest.raises(PermanentError):
        stage.once()
    assert set(read_gateway(stage.site).maps["routes"]) == {"files.test/"}
    assert stage.ready()[:2] == ("False", Reason.PERMANENT)


def test_the_pool_of_a_service_that_is_gone_is_made_spare(stage: GatewayStage) -> None:
    stage.service("files")
    stage.settle()
    write_pool(stage.site, "h001", [PoolServer("one", "10.0.0.1:8000")], SETTINGS)
    stage.settle()
    assert read_gateway(stage.site).maps["hold"] == {"h001": "30000"}

    stage.objects.remove("files")
    done = stage.settle()

    assert any("make pool h001 spare (surplus: files)" in line for line in done)
    read = read_gateway(stage.site)
    assert (read.held, read.busy, read.maps["hold"]) == ({}, frozenset(), {})


def test_a_port_that_is_taken_blocks_with_a_sentence(stage: GatewayStage) -> None:
    stage.engine.foreign_ports[80] = "process nginx (pid 7)"
    stage.once()

    assert stage.ready() == (
        "False",
        Reason.BLOCKED,
        "port 80 is taken by process nginx (pid 7); free it or set another port in spec.listeners",
    )
    del stage.engine.foreign_ports[80]
    stage.settle()
    assert stage.ready()[0] == "True"


def test_a_gateway_joins_the_networks_of_its_services_as_soon_as_they_exist(
    stage: GatewayStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.service("files")
    stage.settle()
    (holder,) = (c for c in stage.machine.containers.values() if c.role is Role.GATEWAY)
    assert set(holder.addresses) == {"gateway-net"}

    monkeypatch.setattr(stage.engine, "networks", frozenset)
    assert any("connect" in line for line in stage.settle())
    assert set(holder.addresses) == {"gateway-net", "vault-files_vault-net"}

    stage.objects.remove("files")
    assert any("disconnect" in line for line in stage.settle())
    assert set(holder.addresses) == {"gateway-net"}


@pytest.mark.parametrize("network", ["published", "host"])
def test_a_dead_haproxy_comes_back(stage: GatewayStage, network: str) -> None:
    stage.gateway(network=network, replicas=2)
    stage.settle()
    assert len(stage.proxies()) == 2
    victim = stage.machine.containers[stage.proxies()[0]]
    stage.machine.remove(victim)
    stage.settle()
    assert len(stage.proxies()) == 2


HTTPS = [
    {"name": "http", "port": 80, "protocol": "HTTP"},
    {"name": "https", "port": 443, "protocol": "HTTPS"},
]


def test_a_host_below_test_has_a_certificate_before_it_is_redirected_to_https(stage: GatewayStage) -> None:
    stage.gateway(listeners=HTTPS)
    stage.service("files")
    done = stage.settle()

    words = [line.partition("] ")[2] for line in done]
    assert words[0].startswith("write the certificates of 1 host")
    assert words[1].startswith("write 1 routes")
    tls = stage.site.config / "tls"
    (line,) = (tls / "certificates.list").read_text().splitlines()
    assert line.endswith(" files.test")
    assert len(list(tls.glob("*.pem"))) == 2
    assert read_gateway(stage.site).maps["routes"]["files.test/"].split("|")[2] == "S"
    assert "PRIVATE" not in "".join(done)
    assert stage.once() == Result(converged=True)

    stage.service("files", tls={"certificate": "none"})
    stage.settle()
    assert (tls / "certificates.list").read_text() == ""
    assert read_gateway(stage.site).maps["routes"]["files.test/"].split("|")[2] == "~"


def test_a_certificate_that_cannot_be_used_is_told_and_all_else_serves(
    stage: GatewayStage, tmp_path: Path
) -> None:
    stage.gateway(listeners=HTTPS)
    stage.service("files")
    chain = str(tmp_path / "chain.pem")
    stage.service("wiki", tls={"files": {"chain": chain, "key": chain}})
    stage.settle()

    assert stage.ready() == ("True", Reason.SERVING, "2 routes of 2 services")
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", Reason.CERTIFICATE_MISSING)
    assert degraded.message == f"wiki.test: {chain}: does not exist; check the path"


def test_answers_to_an_acme_server_are_served_and_that_is_said(stage: GatewayStage) -> None:
    server = "https://acme.test/dir"
    stage.gateway(listeners=HTTPS, acme={"acceptTerms": True, "server": server})
    stage.service("files", tls={"certificate": "acme"})
    stage.settle()
    answer = Answer("files.test", "http-01", "https://acme.test/c", "token", "token.thumb")
    store = Store(directory_of(stage.mine.directory("main")))
    store.save_order(Order(server, ("files.test",), new_key(), stage.now(), Step.ANSWER, answers=(answer,)))
    stage.settle()
    assert read_gateway(stage.site).maps["acme"] == {answer.path: "token.thumb"}
    (worker,) = stage.gateways.workers.values()
    assert worker.maps
    assert worker.maps["acme"] == {answer.path: "token.thumb"}


def test_a_bad_file_of_logins_closes_its_route_and_nothing_else(
    stage: GatewayStage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(f"ada:{HASH}\n")
    bad.write_text(f"ada:{HASH}\nbob:{HASH[:-1]}\n")
    stage.service("wiki", auth={"basic": {"file": str(good)}})
    stage.service("files", auth={"basic": {"file": str(bad)}})
    stage.service("mail")
    done = stage.settle()

    def flags() -> dict[str, str]:
        (worker,) = stage.gateways.workers.values()
        assert worker.maps is not None
        return {key.partition(".")[0]: value.split("|")[2] for key, value in worker.maps["routes"].items()}

    assert flags() == {"wiki": "BI", "files": "DI", "mail": "~"}
    assert stage.ready() == ("True", Reason.SERVING, "3 routes of 3 services")
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", Reason.LOGINS_UNUSABLE)
    assert degraded.message.startswith(f"files: files.test/ is closed: {bad}:2: ")
    assert "LoginsUnusable: files: files.test/ is closed" in caplog.text
    assert HASH[-20:] not in " ".join([*done, caplog.text, str(stage.mine.status("main"))])

    # The file is put right, then another password, then it is lost.
    reloads = stage.gateways.reloads
    bad.write_text(f"ada:{HASH}\n")
    stage.settle()
    assert flags() == {"wiki": "BI", "files": "BI", "mail": "~"}
    good.write_text("")
    stage.settle()
    good.unlink()
    stage.settle()
    assert flags() == {"wiki": "DI", "files": "BI", "mail": "~"}
    assert stage.gateways.reloads == reloads


def test_an_auth_service_is_asked_as_soon_as_it_has_a_pool(stage: GatewayStage) -> None:
    stage.service("wiki", auth={"forward": {"service": "sso"}})
    stage.settle()
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", Reason.NO_AUTH_SERVICE)
    stage.service("sso")
    stage.settle()
    written = read_gateway(stage.site)
    pools = {need.service: pool for need, pool in written.held.items()}
    assert written.maps["forward"]["wiki.0"].split("|")[0] == pools["sso"]
    assert written.maps["routes"]["wiki.test/"].split("|")[2] == "FI"
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert degraded.status == "False"
    stage.objects.remove("sso")
    stage.settle()
    assert read_gateway(stage.site).maps["routes"]["wiki.test/"].split("|")[2] == "DI"


# On several nodes


class Nodes:
    """Two machines, each with an engine; `away` are those whose agents are."""

    def __init__(self, stage: GatewayStage) -> None:
        self.engines = {name: MemoryEngine(Machine(lambda: stage.time, stage.now)) for name in ("a", "b")}
        self.away: set[str] = set()
        self.deployed: set[str] = set()

    def nodes(self, stack: Stack, here: EngineObservation) -> tuple[FrontNode, ...]:
        self.stack, found = stack, []
        for name, engine in self.engines.items():
            if name not in self.deployed:
                found.append(FrontNode(name, lacks_agent=True, is_new=True, problem="its agent is deployed"))
            elif name in self.away:
                found.append(FrontNode(name, problem="its agent is silent"))
            else:
                seen = engine.observe(stack)
                # Each machine counts its containers from one.
                own = (
                    replace(c, node=name, id=f"{name}{c.id}", joined=c.joined and f"{name}{c.joined}")
                    for c in seen.containers
                )
                found.append(FrontNode(name, seen=replace(seen, containers=tuple(own))))
        return tuple(found)

    def at(self, node: str) -> Engine:
        engine = self.engines[node]

        class There:
            def create(self, stack: Stack, requests: Any) -> None:
                plain = (
                    replace(r, gateway=r.gateway.removeprefix(node)) if isinstance(r, CreateProxy) else r
                    for r in requests
                )
                engine.create(stack, tuple(plain))

            def start(self, containers: tuple[str, ...]) -> None:
                engine.start(tuple(each.removeprefix(node) for each in containers))

        return cast("Engine", There())

    def deploy(self, node: str) -> None:
        self.deployed.add(node)

    def tear_down(self, project: str) -> None:
        raise AssertionError("nothing is deleted here")


def test_a_gateway_on_nodes_deploys_agents_and_tells_of_one_that_is_away(
    stage: GatewayStage, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = Nodes(stage)
    stage.world = replace(stage.world, fronts=nodes)
    stage.gateway(nodeSelector={})
    stage.service("files")
    first = stage.once().did
    assert "deploy the agent of node a" in first
    assert "deploy the agent of node b" in first
    for _ in range(8):
        stage.time += 0.5
        stage.once()
    for engine in nodes.engines.values():
        assert {c.role for c in engine.observe(nodes.stack).containers} == {Role.GATEWAY, Role.PROXY}
    assert [each.name for each in stage.mine.status("main").nodes] == ["a", "b"]

    nodes.away.add("b")
    assert not stage.once().converged
    stage.once()
    degraded = find_condition(stage.mine.status("main").conditions, "Degraded")
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", "NodeAway")
    assert degraded.message == "node b: its agent is silent"
    assert caplog.messages.count("NodeAway: node b: its agent is silent") == 1
    # Its HAProxy may be serving, so services go on to ask it.
    assert set(read_places(stage.site).values()) == {"a", "b"}


def test_nodes_need_a_swarm(stage: GatewayStage) -> None:
    stage.gateway(nodeSelector={})
    with pytest.raises(PermanentError, match=r"nodeSelector: the engine knows one host only"):
        stage.once()
